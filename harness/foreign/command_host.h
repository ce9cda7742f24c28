#pragma once
// An engine behind a command: a process that reads requests from its standard input and answers on its standard output, one
// JSON object a line (protocol.h).
//
//   auto host = start_command({"python3", "mine.py"});       // throws ForeignFailure
//
// Answers may come in any order; each client waits for its own. A process that ends, is silent for longer than its
// patience, or writes what is no answer, fails every call from then on, with the end of its standard error in the text.
//
// Thread safety: as foreign_engine.h. The process dies with the thread that started it; it is ended by its own id.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/foreign/foreign_engine.h"

namespace touchstone::harness {

/// Where execvp(3) would find this program.
std::optional<std::string> program_path(const std::string& program);

class CommandHost : public ForeignHost {
 public:
  /// Stops the process (SIGSTOP) and lets it go on.
  virtual void pause() = 0;
  virtual void resume() = 0;

  /// kill -9: what was asked and not answered has an unknown outcome.
  virtual void kill() = 0;

  /// A new process, after kill(). Its engines are those that are opened with `recover`.
  virtual void restart() = 0;

  /// An engine that keeps what it commits in `directory`, or finds it there again.
  virtual std::unique_ptr<ForeignInstance> open_durable(const EngineSettings& settings,
                                                        const std::string& directory) = 0;
};

std::unique_ptr<CommandHost> start_command(const std::vector<std::string>& words);

}  // namespace touchstone::harness
