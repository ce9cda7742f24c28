#include "model/drawing.h"

#include <algorithm>
#include <map>

namespace touchstone::model {
namespace {

struct Event {
  std::int64_t time = 0;
  bool returns = false;
  std::size_t look = 0;
};

/// "write(1)": what describe() says, without the client, whose row it is.
std::string label(const History& history, const Operation& it) {
  std::string text = describe(history, it);
  const std::string client = " by client " + history.clients.name(it.client);
  if (const std::size_t at = text.find(client); at != std::string::npos) text.erase(at, client.size());
  return text;
}

class Drawing {
 public:
  Drawing(const History& history, const std::vector<Look>& looks) : history_(history), looks_(looks) {}

  std::string run(std::size_t width) {
    place();
    std::size_t margin = 0;
    std::map<ClientId, std::string> rows;
    std::map<ClientId, bool> marked;
    for (std::size_t i = 0; i < looks_.size(); ++i) {
      const ClientId client = at(i).client;
      margin = std::max(margin, ("client " + history_.clients.name(client)).size());
      std::string& row = rows[client];
      row.resize(std::max(row.size(), begin_[i]), ' ');
      row += box(i);
      marked[client] = marked[client] || looks_[i].marked;
    }
    std::string text;
    for (auto& [client, row] : rows) {
      std::string name = "client " + history_.clients.name(client);
      name.resize(margin + 2, ' ');
      if (name.size() + row.size() > width) return "";
      text += name + row + (marked[client] ? "  <" : "") + "\n";
    }
    return text;
  }

 private:
  const Operation& at(std::size_t look) const { return history_.operations[looks_[look].operation]; }

  bool open_end(std::size_t look) const { return looks_[look].open_end || !at(look).completed(); }

  std::string box(std::size_t i) const {
    const std::string left = looks_[i].open_begin ? ".. " : "|- ";
    const std::string right = open_end(i) ? " .." : " -|";
    const std::string words = label(history_, at(i));
    const std::size_t length = end_[i] - begin_[i] + 1;
    const std::size_t needed = left.size() + words.size() + right.size();
    const std::string fill(length > needed ? length - needed : 0, open_end(i) ? '.' : '-');
    return left + words + " " + fill + right.substr(1);
  }

  /// Columns of the events: each one behind those before it, a return far enough for its words.
  void place() {
    std::vector<Event> events;
    for (std::size_t i = 0; i < looks_.size(); ++i) {
      events.push_back({at(i).invoked, false, i});
      if (!open_end(i)) events.push_back({at(i).returned, true, i});
    }
    std::stable_sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
      return a.time != b.time ? a.time < b.time : !a.returns && b.returns;
    });
    begin_.resize(looks_.size());
    end_.resize(looks_.size());
    std::map<ClientId, std::size_t> free_from;  // behind what its row has already
    std::size_t next = 0;
    for (const Event& event : events) {
      const std::size_t i = event.look;
      const std::size_t words = label(history_, at(i)).size() + 6;
      if (event.returns) {
        end_[i] = std::max(next, begin_[i] + words);
      } else {
        begin_[i] = std::max(next, free_from[at(i).client]);
        if (open_end(i)) end_[i] = begin_[i] + words;
      }
      next = (event.returns ? end_[i] : begin_[i]) + 1;
      std::size_t& free = free_from[at(i).client];
      free = std::max(free, (event.returns ? end_[i] : begin_[i] + words) + 2);
    }
  }

  const History& history_;
  const std::vector<Look>& looks_;
  std::vector<std::size_t> begin_;
  std::vector<std::size_t> end_;
};

}  // namespace

std::string draw(const History& history, const std::vector<Look>& looks, std::size_t width) {
  return Drawing(history, looks).run(width);
}

}  // namespace touchstone::model
