#include "harness/foreign/call_watch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "harness/isolated.h"

namespace touchstone::harness {
namespace {

std::int64_t now() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

}  // namespace

CallWatch::Caller::Caller(CallWatch& watch, std::string name) : watch_(watch), name_(std::move(name)) {
  const std::lock_guard lock(watch_.mutex_);
  watch_.callers_.insert(this);
}

CallWatch::Caller::~Caller() {
  const std::lock_guard lock(watch_.mutex_);
  watch_.callers_.erase(this);
}

CallWatch::Call::Call(Caller& caller, const char* function) : caller_(caller) {
  caller_.since_.store(now());
  caller_.inside_.store(function);
}

CallWatch::CallWatch(std::chrono::milliseconds patience)
    : patience_(patience), thread_([this] { look_until_ended(); }) {}

CallWatch::~CallWatch() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_all();
  thread_.join();
}

void CallWatch::look_until_ended() {
  std::unique_lock lock(mutex_);
  while (
      !ended_.wait_for(lock, std::min(patience_, std::chrono::milliseconds(100)), [this] { return end_; })) {
    for (const Caller* caller : callers_) {
      const std::int64_t since = caller->since_.load();
      const char* function = caller->inside_.load();
      // The same call before and after: not one that began meanwhile.
      if (function == nullptr || caller->since_.load() != since) continue;
      const std::chrono::nanoseconds inside(now() - since);
      if (inside < patience_) continue;
      last_words(fmt::format("the engine hung: {} of {} did not return within {} ms", function, caller->name_,
                             patience_.count()));
      ::_exit(kExitAfterLastWords);
    }
  }
}

}  // namespace touchstone::harness
