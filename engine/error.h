#pragma once
// What can be wrong with a call. Operations that race return `Rejected` beside their other outcomes;
// declarations (keys, contracts) throw `Error`. Either way nothing has changed.

#include <stdexcept>
#include <string>

namespace touchstone::engine {

enum class ErrorCode {
  empty_path,        ///< a path has no characters
  bad_path,          ///< a path has an empty component or more than kMaxPathBytes bytes
  future_version,    ///< an expected version that the store has not made yet
  under_scalar,      ///< a write below a path that holds a scalar
  undeclared_write,  ///< a body wrote outside its declared outputs
  undeclared_read,   ///< with validate_reads: a body read outside its inputs and outputs
  nested_commit,     ///< a commit or execute on a store from inside one of its bodies
  foreign_key,       ///< a Key or Worker of another store
};

const char* name_of(ErrorCode code);

/// The call was refused. `what` names the path, version or process that was wrong.
struct Rejected {
  ErrorCode code;
  std::string what;

  friend bool operator==(const Rejected&, const Rejected&) = default;
};

class Error : public std::runtime_error {
 public:
  explicit Error(Rejected rejected) : std::runtime_error(rejected.what), rejected_(std::move(rejected)) {}
  ErrorCode code() const { return rejected_.code; }
  const Rejected& rejected() const { return rejected_; }

 private:
  Rejected rejected_;
};

}  // namespace touchstone::engine
