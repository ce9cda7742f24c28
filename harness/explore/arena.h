#pragma once
// The memory of a body: at an address that is the same in every execution and in every process, and taken back between
// executions.
//
//   Arena arena;
//   { InArena in(&arena); body(); }    // `new` comes from the arena here ...
//   { InArena out(nullptr); ... }      // ... and not here: what the explorer itself keeps
//   arena.reset();                     // the next execution begins at the same address
//
// So an execution that is repeated gets the same addresses: a program that orders by them, hashes them or keeps them in integers
// does the same again, also in another process and under a debugger.
//
// A1. Nothing is ever taken from its owner: reset() goes back only if everything was freed. What outlives its execution (an
//     element that the body put into somebody's vector, the stack of a thread that was abandoned) stays where it is for
//     good, and the next execution begins behind it.
// A2. Freed blocks are reused within an execution, last freed first, so that a body's mistakes with freed memory show.
// A3. A full arena, one whose addresses are taken, and one behind which too much has stayed leave it to the ordinary allocator,
//     which costs no more than the same addresses. So do sanitizers, which look after memory themselves.
//
// Replaces the global operator new and delete of the program that it is linked to. An arena belongs to one thread; what came from
// it may be freed by any, but is then left behind.

#include <array>
#include <cstddef>
#include <cstdint>

namespace touchstone::harness::explore {

class Arena {
 public:
  Arena();
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Null when the ordinary allocator must do it.
  void* allocate(std::size_t bytes, std::size_t alignment);

  /// Between two executions.
  void reset();

  bool usable() const { return begin_ != nullptr; }

  /// Frees what some arena gave; false if it is none of theirs.
  static bool give_back(void* block);

  /// Whether a value may be an address in an arena.
  static constexpr bool covers(std::uint64_t address) { return address >= kBase && address < kEnd; }

 private:
  struct Header;  // before each block

  static constexpr std::uint64_t kBase = 0x1000'0000'0000;
  static constexpr std::size_t kBytes = std::size_t{256} << 20;
  static constexpr std::size_t kArenas = 64;  // at a time
  static constexpr std::uint64_t kEnd = kBase + kBytes * kArenas;
  static constexpr std::size_t kUnit = 16;  // bytes, and the ordinary alignment
  static constexpr std::size_t kClasses =
      64;  // of small blocks, by units; larger and aligned ones are not reused
  static constexpr std::uint32_t kMostLeft = 256;  // executions that left something behind

  std::byte* begin_ = nullptr;  // of this execution
  std::byte* next_ = nullptr;
  std::byte* end_ = nullptr;
  std::array<Header*, kClasses> free_{};
  std::size_t living_ = 0;  // blocks of this execution
  std::uint32_t left_ = 0;
  std::size_t number_ = 0;
};

/// Directs this thread's `new` while it lives: to an arena, or, with null, to the ordinary allocator.
class InArena {
 public:
  explicit InArena(Arena* arena) : before_(now) { now = arena; }
  ~InArena() { now = before_; }
  InArena(const InArena&) = delete;
  InArena& operator=(const InArena&) = delete;

  static thread_local constinit Arena* now;

 private:
  Arena* before_;
};

}  // namespace touchstone::harness::explore
