// touchstone: the command line tool. Every subcommand is in a file of its own; this one only dispatches.

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <exception>

#include "harness/commands.h"

int main(int argc, char** argv) {
  using namespace touchstone::harness;
  CLI::App app{"Touchstone: check what an optimistic engine promises, reproduce what breaks it."};
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", TOUCHSTONE_VERSION);
  int exit_status = 0;
  add_check_command(app, exit_status);
  add_convert_command(app, exit_status);
  add_doctor_command(app, exit_status);
  add_explore_command(app, exit_status);
  add_reap_command(app, exit_status);
  add_replay_command(app, exit_status);
  add_verify_command(app, exit_status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : kExitUsage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "touchstone: %s\n", error.what());
    return kExitInternal;
  }
  if (app.get_subcommands().empty()) {
    std::fputs(app.help().c_str(), stderr);
    return kExitUsage;
  }
  return exit_status;
}
