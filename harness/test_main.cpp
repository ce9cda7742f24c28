// The main of every test binary: prints the seed before anything can fail.

#include <gtest/gtest.h>

#include <cstdio>

#include "harness/seed.h"

int main(int argc, char** argv) {
  std::printf("seed %s\n", touchstone::harness::Seed::of_process().text().c_str());
  std::fflush(stdout);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
