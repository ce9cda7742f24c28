#pragma once
// How many processes said yes, counted in memory that a process and its forked children share.
//
//   Ayes unharmed;                 // before the fork
//   unharmed.say();                // in a child
//   if (unharmed.take() == 2) ...  // since the last look
//
// Thread safety: any thread, any process. Errors: std::bad_alloc.

#include <sys/mman.h>

#include <atomic>
#include <new>

namespace touchstone::stress {

class Ayes {
 public:
  Ayes() : page_(::mmap(nullptr, sizeof(Count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (page_ == MAP_FAILED) throw std::bad_alloc();
    new (page_) Count(0);
  }
  ~Ayes() { ::munmap(page_, sizeof(Count)); }
  Ayes(const Ayes&) = delete;
  Ayes& operator=(const Ayes&) = delete;

  void say() { ++count(); }
  unsigned take() { return count().exchange(0); }

 private:
  using Count = std::atomic<unsigned>;
  Count& count() { return *static_cast<Count*>(page_); }

  void* page_;
};

}  // namespace touchstone::stress
