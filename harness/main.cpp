// touchstone: the command line tool. Every subcommand is in a file of its own; this one only dispatches.

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>

#include "harness/commands.h"

namespace {

/// False if something that was printed did not arrive: the disk is full, the terminal is gone.
bool everything_arrived() {
  std::cout.flush();
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good();
}

int run(int argc, char** argv) {
  using namespace touchstone::harness;
  CLI::App app{"Touchstone: check what an optimistic engine promises, reproduce what breaks it."};
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", TOUCHSTONE_VERSION);
  int exit_status = 0;
  add_check_command(app, exit_status);
  add_convert_command(app, exit_status);
  add_doctor_command(app, exit_status);
  add_engines_command(app, exit_status);
  add_explore_command(app, exit_status);
  add_merge_command(app, exit_status);
  add_fuzz_command(app, exit_status);
  add_reap_command(app, exit_status);
  add_replay_command(app, exit_status);
  add_verify_command(app, exit_status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : kExitUsage;
  } catch (const std::bad_alloc&) {
    std::fputs("touchstone: the memory is not enough for what is read or searched\n", stderr);
    return kExitSystem;
  } catch (const std::exception& error) {
    // fmt throws when it cannot print; main() says that better.
    if (std::ferror(stdout) != 0) return kExitCannotWrite;
    std::fprintf(stderr, "touchstone: %s\n", error.what());
    return kExitInternal;
  }
  if (app.get_subcommands().empty()) {
    std::fputs(app.help().c_str(), stderr);
    return kExitUsage;
  }
  return exit_status;
}

}  // namespace

int main(int argc, char** argv) {
  const int status = run(argc, argv);
  if (everything_arrived()) return status;
  std::fputs("touchstone: the standard output cannot be written\n", stderr);
  return touchstone::harness::kExitCannotWrite;
}
