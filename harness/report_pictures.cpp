#include "harness/report_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace touchstone::harness {
namespace {

constexpr double kWidth = 640, kLabel = 130, kValue = 90, kBar = 14, kGap = 10, kHead = 26;
constexpr double kPlot = kWidth - kLabel - kValue;
constexpr std::size_t kLongestLabel = 18;  // characters that fit beside the bars

std::string shortened(const std::string& text) {
  return text.size() <= kLongestLabel ? text : text.substr(0, kLongestLabel - 1) + "~";
}

std::string number(double value) {
  if (value == std::floor(value)) return fmt::format("{:.0f}", value);
  return value < 10 ? fmt::format("{:.2f}", value) : fmt::format("{:.0f}", value);
}

std::string text_at(double x, double y, const std::string& anchor, const std::string& text) {
  return fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>)", x, y, anchor,
                     escaped(text));
}

std::string svg(const std::string& kind, const std::string& title, double height, const std::string& body) {
  return fmt::format(
      R"(<svg class="picture" data-kind="{}" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}"><title>{}</title>{}</svg>)"
      "\n",
      kind, kWidth, height, escaped(title), escaped(title),
      fmt::format(R"(<text class="head" x="0" y="14">{}</text>)", escaped(title)) + body);
}

struct Bar {
  std::string series;  ///< its class in the style
  double value = 0;
};

struct Row {
  std::string label;
  std::vector<Bar> bars;
};

std::string bars(const std::string& kind, const std::string& title, const std::string& unit,
                 const std::vector<Row>& rows) {
  double most = 0;
  for (const Row& row : rows)
    for (const Bar& bar : row.bars) most = std::max(most, bar.value);
  std::string body;
  double y = kHead;
  for (const Row& row : rows) {
    const double middle = y + kBar * static_cast<double>(row.bars.size()) / 2;
    body += text_at(kLabel - 8, middle + 4, "end", shortened(row.label));
    for (const Bar& bar : row.bars) {
      const double length = most == 0 ? 0 : kPlot * bar.value / most;
      body += fmt::format(
          R"(<rect class="{}" data-value="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}: {}{}</title></rect>)",
          bar.series, number(bar.value), kLabel, y + 1, length, kBar - 2, escaped(row.label),
          number(bar.value), unit);
      body += text_at(kLabel + length + 5, y + kBar - 3, "start", number(bar.value) + unit);
      y += kBar;
    }
    y += kGap;
  }
  return svg(kind, title, y, body);
}

std::vector<Row> by_worker(const Contention& contention,
                           const std::function<double(const WorkerEffort&)>& value) {
  std::vector<Row> rows;
  for (const WorkerEffort& with : contention.with_ticket.workers) {
    rows.push_back({with.name, {{"with", value(with)}}});
    for (const WorkerEffort& without : contention.without_ticket.workers)
      if (without.name == with.name) rows.back().bars.push_back({"without", value(without)});
  }
  return rows;
}

/// A round number of the axis, so that there are about six.
double step_of(double end) {
  const double rough = std::max(end, 1e-9) / 6;
  const double magnitude = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (rough <= factor * magnitude) return factor * magnitude;
  return 10 * magnitude;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c;
    }
  }
  return out;
}

std::string picture_of_retries(const Contention& contention) {
  return bars("retries", "Retries of each worker", "",
              by_worker(contention, [](const auto& it) { return static_cast<double>(it.retries); }));
}

std::string picture_of_waits(const Contention& contention) {
  return bars("waits", "Time each worker waited, in back-off and at the gate", " ms",
              by_worker(contention, [](const auto& it) { return it.waited; }));
}

std::string picture_of_turns(const ContendedRun& run) {
  constexpr double kLane = 18;
  const double end = std::max(run.end, 1e-9);
  const auto x_of = [&](double time) {
    return kLabel + (kWidth - kLabel - 30) * std::clamp(time / end, 0.0, 1.0);
  };
  std::string body;
  double y = kHead;
  const double bottom = kHead + kLane * static_cast<double>(run.workers.size());
  for (double tick = 0; tick <= end; tick += step_of(end)) {
    body += fmt::format(R"(<line class="tick" x1="{0:.1f}" y1="{1:.1f}" x2="{0:.1f}" y2="{2:.1f}"/>)",
                        x_of(tick), kHead - 4, bottom);
    body += text_at(x_of(tick), bottom + 14, "middle", number(tick));
  }
  for (const WorkerEffort& worker : run.workers) {
    body += text_at(kLabel - 8, y + kLane - 5, "end", shortened(worker.name));
    for (const GateWindow& window : run.windows) {
      if (window.worker != worker.name) continue;
      body += fmt::format(
          R"(<rect class="window" data-value="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}: {} to {} ms</title></rect>)",
          number(window.end - window.begin), x_of(window.begin), y + 2,
          std::max(x_of(window.end) - x_of(window.begin), 1.0), kLane - 4, escaped(worker.name),
          number(window.begin), number(window.end));
    }
    y += kLane;
  }
  return svg("turns", "When the gate was closed, and for whom (ms)", bottom + 20, body);
}

std::string picture_of_answers(const Contention& contention) {
  std::vector<Row> rows;
  for (const auto& [name, with] : contention.with_ticket.answers.counts) {
    rows.push_back({name, {{"with", static_cast<double>(with)}}});
    for (const auto& [other, without] : contention.without_ticket.answers.counts)
      if (other == name) rows.back().bars.push_back({"without", static_cast<double>(without)});
  }
  return bars("answers", contention.with_ticket.answers.title, "", rows);
}

std::string picture_of_counts(const NamedCounts& counts) {
  std::vector<Row> rows;
  for (const auto& [name, count] : counts.counts)
    rows.push_back({name, {{"with", static_cast<double>(count)}}});
  return bars("counts", counts.title, "", rows);
}

}  // namespace touchstone::harness
