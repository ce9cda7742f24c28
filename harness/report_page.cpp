#include "harness/report_page.h"

#include <fmt/format.h>

#include <optional>
#include <sstream>

#include "harness/artifact.h"
#include "harness/counted.h"
#include "harness/history_format.h"
#include "harness/history_page.h"
#include "harness/mutant_table.h"
#include "harness/page/embedded.h"
#include "harness/report_pictures.h"
#include "harness/verify_table.h"

namespace touchstone::harness {
namespace {

std::string class_of(ClaimVerdict verdict) {
  return verdict == ClaimVerdict::violated ? "violated" : std::string(to_text(verdict));
}

std::string mutants_cell(const ClaimReport& claim) {
  std::string text;
  for (const Mutant& mutant : mutants_behind(claim.claim))
    text +=
        fmt::format(R"(<span class="mutant" title="{}">{}</span> )", escaped(mutant.breaks), mutant.number);
  return text;
}

std::string sampled_cell(const ClaimReport& claim) {
  std::string text;
  for (const Sampled& it : claim.sampled)
    text +=
        fmt::format(R"(<div class="sampled" title="{}, {}, {} of them seen once">{} <b>{:.2g} %</b></div>)",
                    counted(it.executions, "execution"), counted(it.classes, "class", "classes"), it.once,
                    escaped(it.what), 100 * it.remainder());
  return text;
}

std::string details_of(const ClaimReport& claim) {
  std::string text;
  if (!claim.reason.empty()) text += fmt::format("<pre class=\"reason\">{}</pre>", escaped(claim.reason));
  for (const auto& note : claim.notes) text += fmt::format("<p class=\"note\">{}</p>", escaped(note));
  return text;
}

std::string row_of(const ClaimReport& claim, const VerifyReport& report, const std::string& tool) {
  return fmt::format(
      "<tr id=\"{0}\" class=\"{1}\" data-claim=\"{0}\"><th scope=\"row\">{0}</th><td "
      "class=\"verdict\">{2}</td>"
      "<td>{3}{4}</td><td>{5}</td><td>{6}</td><td>{7}</td><td>{8}</td><td><code>{9}</code><br>{10}</td></"
      "tr>\n",
      escaped(claim.claim), class_of(claim.verdict), to_text(claim.verdict), escaped(claim.promise),
      details_of(claim), escaped(claim.technique), escaped(to_text(claim.tried)), sampled_cell(claim),
      mutants_cell(claim), escaped(how_to_repeat(claim, report, tool)), to_text(claim.replay_class));
}

std::string pictures_of(const ClaimReport& claim) {
  std::string text;
  if (const auto& contention = claim.figures.contention) {
    text += fmt::format(
        "<p>{}: <span class=\"key with\"></span> with the ticket, <span class=\"key without\"></span> "
        "without.</p>\n",
        escaped(contention->crowd));
    text += picture_of_retries(*contention) + picture_of_waits(*contention) +
            picture_of_turns(contention->with_ticket) + picture_of_answers(*contention);
  }
  for (const NamedCounts& counts : claim.figures.counts) text += picture_of_counts(counts);
  if (text.empty()) return "";
  return fmt::format("<section><h2>{}: {}</h2>\n<div class=\"pictures\">{}</div></section>\n",
                     escaped(claim.claim), escaped(claim.promise), text);
}

std::string history_of(const std::string& claim, const std::string& page) {
  return fmt::format(
      "<section><h2>{0}: the history that was refused</h2>\n<iframe class=\"history\" data-history=\"{0}\" "
      "sandbox=\"allow-scripts\" srcdoc=\"{1}\"></iframe></section>\n",
      escaped(claim), escaped(page));
}

std::string summary_of(const VerifyReport& report) {
  std::string text = table_foot(report);
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return escaped(text);
}

void replace(std::string& text, std::string_view what, std::string_view by) {
  text.replace(text.find(what), what.size(), by);
}

std::optional<std::string> page_of_history(const std::filesystem::path& file, const std::string& title) {
  const auto read = read_history(file.string(), HistoryFormat::kJsonLines);
  const auto* history = std::get_if<model::History>(&read);
  if (history == nullptr) return std::nullopt;
  std::ostringstream out;
  write_page(page_data(*history, model::check(*history), title), out);
  return out.str();
}

}  // namespace

std::string report_page(const VerifyReport& report, const ReportPageOptions& options) {
  std::string rows, pictures, histories;
  for (const ClaimReport& claim : report.claims) {
    rows += row_of(claim, report, options.tool);
    pictures += pictures_of(claim);
    const auto history = options.histories.find(claim.claim);
    if (history != options.histories.end()) histories += history_of(claim.claim, history->second);
  }
  const bool bad = report.count(ClaimVerdict::violated) > 0;
  std::string page(embedded::report_html);
  replace(page, "/*STYLE*/", embedded::report_css);
  replace(page, "/*SCRIPT*/", embedded::report_js);
  replace(page, "<!--VERDICT-->",
          bad                         ? "violated"
          : report.exit_status() == 2 ? "inconclusive"
          : report.unfinished() > 0   ? "unfinished"
                                      : "held");
  replace(page, "<!--SUMMARY-->", summary_of(report));
  replace(page, "<!--ROWS-->", rows);
  replace(page, "<!--HISTORIES-->", histories);
  replace(page, "<!--PICTURES-->", pictures);
  return page;
}

std::map<std::string, std::string> histories_in(const std::filesystem::path& run_directory,
                                                const VerifyReport& report) {
  std::map<std::string, std::string> pages;
  if (run_directory.empty()) return pages;
  for (const ClaimReport& claim : report.claims) {
    const auto file = run_directory / claim.claim / "history.jsonl";
    std::error_code unknown;
    if (claim.verdict != ClaimVerdict::violated || !std::filesystem::exists(file, unknown)) continue;
    auto page = page_of_history(file, claim.claim + ": " + claim.promise);
    if (!page) continue;
    Artifact(file.parent_path()).write("history.html", *page);
    pages.emplace(claim.claim, std::move(*page));
  }
  return pages;
}

std::string how_to_repeat(const ClaimReport& claim, const VerifyReport& report, const std::string& tool) {
  if (!claim.replay.empty()) return claim.replay;
  return fmt::format("{} verify --engine {} --claim {} --seed {}", quote_word(tool),
                     quote_word(report.engine), quote_word(claim.claim), report.seed.text());
}

}  // namespace touchstone::harness
