// The main of every peer's binary: Google Benchmark's, with the workloads of bench/workload.h.

#include "bench/workload.h"

namespace touchstone::bench {

Stage::Current& Stage::current() {
  static Current current;
  return current;
}

harness::Seed draws_seed() {
  return harness::Seed::of_process();
}

}  // namespace touchstone::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 64;
  benchmark::AddCustomContext("seed", touchstone::bench::draws_seed().text());
  touchstone::bench::register_benchmarks();
  benchmark::RunSpecifiedBenchmarks();
  touchstone::bench::Stage::clear();
  benchmark::Shutdown();
}
