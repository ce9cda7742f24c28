// A library for foreign_test.cpp: it does what ODD_LIBRARY says, and is no engine otherwise.

#include <csignal>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "harness/touchstone/engine.h"

namespace {

bool it_should(std::string_view what) {
  const char* const how = std::getenv("ODD_LIBRARY");
  return how != nullptr && how == what;
}

void* open(const touchstone_settings*) {
  static int engine = 0;
  return &engine;
}

void close(void*) {}

void* client(void* engine, int) {
  return engine;
}

touchstone_status version(void*, uint64_t* version) {
  *version = 0;
  return TOUCHSTONE_OK;
}

touchstone_status read(void*, const char*, touchstone_value* value) {
  value->kind = it_should("bad-kind") ? static_cast<touchstone_kind>(77) : TOUCHSTONE_ABSENT;
  return TOUCHSTONE_OK;
}

touchstone_status commit(void*, const touchstone_commit* commit, touchstone_answer* answer) {
  if (it_should("crash")) std::raise(SIGSEGV);
  while (it_should("hang")) std::this_thread::yield();
  if (it_should("bad-kind")) {
    answer->version = commit->expected + 1;
    return TOUCHSTONE_COMMITTED;
  }
  return it_should("bad-status") ? static_cast<touchstone_status>(99) : TOUCHSTONE_FAILED;
}

}  // namespace

const touchstone_engine* touchstone_engine_v1() {
  static touchstone_engine engine = {.abi = TOUCHSTONE_ENGINE_ABI,
                                     .capabilities = 0,
                                     .patience_ms = 1000,
                                     .name = "odd library",
                                     .open = open,
                                     .close = close,
                                     .client = client,
                                     .client_end = close,
                                     .version = version,
                                     .read = read,
                                     .commit = commit,
                                     .snapshot = nullptr,
                                     .pin = nullptr,
                                     .pin_read = nullptr,
                                     .unpin = nullptr};
  if (it_should("crash-at-once")) std::raise(SIGSEGV);
  if (it_should("wrong-version")) engine.abi = 2;
  if (it_should("lacking")) engine.capabilities = TOUCHSTONE_CAN_SNAPSHOTS | TOUCHSTONE_CAN_PINS;
  return &engine;
}
