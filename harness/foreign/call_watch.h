#pragma once
// Ends the process, with a name for what happened, when a call into foreign code does not return.
//
//   CallWatch watch(std::chrono::seconds(10));
//   CallWatch::Caller caller(watch, "client 0");
//   { const CallWatch::Call call(caller, "commit"); mine->commit(...); }
//
// A thread inside foreign code cannot be ended alone, so the whole process is: a claim's child (isolated.h says its last
// words to the parent), or a replay. Thread safety: a Caller is one thread's.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <thread>

namespace touchstone::harness {

class CallWatch {
 public:
  explicit CallWatch(std::chrono::milliseconds patience);
  ~CallWatch();
  CallWatch(const CallWatch&) = delete;
  CallWatch& operator=(const CallWatch&) = delete;

  class Caller {
   public:
    Caller(CallWatch& watch, std::string name);
    ~Caller();
    Caller(const Caller&) = delete;
    Caller& operator=(const Caller&) = delete;

   private:
    friend class CallWatch;
    CallWatch& watch_;
    const std::string name_;
    std::atomic<const char*> inside_{nullptr};  ///< null between calls
    std::atomic<std::int64_t> since_{0};
  };

  class Call {
   public:
    Call(Caller& caller, const char* function);
    ~Call() { caller_.inside_.store(nullptr); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    Caller& caller_;
  };

 private:
  void look_until_ended();

  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::set<Caller*> callers_;
  std::thread thread_;
};

}  // namespace touchstone::harness
