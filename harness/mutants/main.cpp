// The tool of one mutant: `fuzz`, and `explore`, which repeats what it finds, over its engine; `verify` and `replay` over the claims that are
// linked with it, if any are (TOUCHSTONE_MUTANT_HAS_CLAIMS).

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "harness/commands.h"

int main(int argc, char** argv) {
  using namespace touchstone::harness;
  CLI::App app{"An engine with a planted bug"};
  app.require_subcommand(1);
  int exit_status = 0;
  add_explore_command(app, exit_status);
  add_fuzz_command(app, exit_status);
#ifdef TOUCHSTONE_MUTANT_HAS_CLAIMS
  add_replay_command(app, exit_status);
  add_verify_command(app, exit_status);
#endif
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  return exit_status;
}
