#include "harness/explore/arena.h"

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define TOUCHSTONE_OWN_NEW 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define TOUCHSTONE_OWN_NEW 0
#endif
#endif
#if !defined(TOUCHSTONE_OWN_NEW)
#define TOUCHSTONE_OWN_NEW 1
#endif

namespace touchstone::harness::explore {

struct alignas(16) Arena::Header {
  Header* next;       // while it is free
  std::size_t units;  // of the block behind it
};

thread_local constinit Arena* InArena::now = nullptr;

namespace {

struct Place {
  std::atomic<const void*> owner{
      nullptr};            // a thread; null when nobody is there, or only blocks that were left
  Arena* arena = nullptr;  // the owner's
};

std::atomic<std::uint64_t> taken{0};  // places, by number: where an arena lives, or something that one gave
std::array<Place, 64> places;

thread_local const char this_thread = 0;  // its address is who we are

std::size_t take_number() {
  std::uint64_t seen = taken.load();
  while (~seen != 0) {
    const std::uint64_t lowest_free = ~seen & (seen + 1);
    if (taken.compare_exchange_weak(seen, seen | lowest_free))
      return static_cast<std::size_t>(__builtin_ctzll(lowest_free));
  }
  return places.size();
}

}  // namespace

Arena::Arena() {
  if (TOUCHSTONE_OWN_NEW == 0) return;
  number_ = take_number();
  if (number_ == kArenas) return;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the address is the point
  void* const wanted = reinterpret_cast<void*>(kBase + number_ * kBytes);
  void* const got = ::mmap(wanted, kBytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (got != wanted) {  // its number stays taken: the address is somebody else's
    if (got != MAP_FAILED) ::munmap(got, kBytes);
    return;
  }
  begin_ = next_ = static_cast<std::byte*>(got);
  end_ = begin_ + kBytes;
  places[number_].arena = this;
  places[number_].owner.store(&this_thread);
}

Arena::~Arena() {
  if (end_ == nullptr) return;
  places[number_].owner.store(nullptr);
  if (left_ != 0 || living_ != 0) return;  // A1: its addresses are never given again
  ::munmap(end_ - kBytes, kBytes);
  taken.fetch_and(~(std::uint64_t{1} << number_));
}

void* Arena::allocate(std::size_t bytes, std::size_t alignment) {
  if (begin_ == nullptr || bytes > kBytes) return nullptr;
  const std::size_t units = bytes == 0 ? 1 : (bytes + kUnit - 1) / kUnit;
  if (alignment <= kUnit && units < kClasses && free_[units] != nullptr) {
    Header* const header = free_[units];
    free_[units] = header->next;
    ++living_;
    return header + 1;
  }
  const auto unaligned = reinterpret_cast<std::uintptr_t>(next_) + sizeof(Header);
  const std::size_t gap = alignment <= kUnit ? 0 : (alignment - unaligned % alignment) % alignment;
  const std::size_t needed = gap + sizeof(Header) + units * kUnit;
  if (static_cast<std::size_t>(end_ - next_) < needed) return nullptr;
  auto* const header = new (next_ + gap) Header{nullptr, alignment <= kUnit ? units : kClasses};
  next_ += needed;
  ++living_;
  return header + 1;
}

void Arena::reset() {
  if (begin_ == nullptr) return;
  if (living_ != 0) begin_ = ++left_ > kMostLeft ? nullptr : next_;
  next_ = begin_;
  living_ = 0;
  free_.fill(nullptr);
}

bool Arena::give_back(void* block) {
  const auto address = reinterpret_cast<std::uintptr_t>(block);
  if (!covers(address)) return false;
  const Place& place = places[(address - kBase) / kBytes];
  // Another thread's block, or one that was left behind: nobody waits for it (A1). Relaxed: only our own store matters.
  if (place.owner.load(std::memory_order_relaxed) != &this_thread) return true;
  Arena* const arena = place.arena;
  if (arena->begin_ == nullptr || block < arena->begin_) return true;
  --arena->living_;
  Header* const header = static_cast<Header*>(block) - 1;
  if (header->units >= kClasses) return true;
  header->next = arena->free_[header->units];
  arena->free_[header->units] = header;
  return true;
}

}  // namespace touchstone::harness::explore

#if TOUCHSTONE_OWN_NEW

namespace {

using touchstone::harness::explore::Arena;
using touchstone::harness::explore::InArena;

void* ordinary(std::size_t bytes, std::size_t alignment) {
  const std::size_t whole = bytes == 0 ? 1 : bytes;
  void* const block = alignment <= alignof(std::max_align_t)
                          ? std::malloc(whole)
                          : std::aligned_alloc(alignment, (whole + alignment - 1) / alignment * alignment);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace

void* operator new(std::size_t bytes) {
  if (Arena* const arena = InArena::now) {
    if (void* const block = arena->allocate(bytes, 1)) return block;
  }
  return ordinary(bytes, 1);
}

void* operator new(std::size_t bytes, std::align_val_t alignment) {
  if (Arena* const arena = InArena::now) {
    if (void* const block = arena->allocate(bytes, static_cast<std::size_t>(alignment))) return block;
  }
  return ordinary(bytes, static_cast<std::size_t>(alignment));
}

void operator delete(void* block) noexcept {
  if (!Arena::give_back(block)) std::free(block);
}

void operator delete(void* block, std::size_t) noexcept {
  if (!Arena::give_back(block)) std::free(block);
}

void operator delete(void* block, std::align_val_t) noexcept {
  if (!Arena::give_back(block)) std::free(block);
}

void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
  if (!Arena::give_back(block)) std::free(block);
}

#endif
