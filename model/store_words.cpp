// The store's operations, responses and states in words, for explanations.

#include "model/store_spec.h"

namespace touchstone::model {
namespace {

std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

std::string words(const Write& write) {
  return write.value ? write.path + "=" + describe(*write.value) : "erase " + write.path;
}

std::string words(const std::vector<Write>& writes) {
  std::vector<std::string> parts;
  parts.reserve(writes.size());
  for (const Write& write : writes) parts.push_back(words(write));
  return join(parts);
}

struct BodyWords {
  std::string operator()(const AddInteger& it) const { return it.path + " += " + std::to_string(it.delta); }
  std::string operator()(const CopySubtree& it) const { return it.to + " = " + it.from; }
  std::string operator()(const MoveAmount& it) const {
    return std::to_string(it.amount) + " from " + it.from + " to " + it.to;
  }
  std::string operator()(const Write& it) const { return words(it); }
};

struct OperationWords {
  std::string operator()(const ReadPath& it) const { return "read " + it.path; }
  std::string operator()(const ReadVersion&) const { return "version"; }
  std::string operator()(const SnapshotRead& it) const { return "snapshot " + join(it.paths); }
  std::string operator()(const CompareAndSwap& it) const {
    return "commit{" + words(it.writes) + "} from version " + std::to_string(it.expected);
  }
  std::string operator()(const Execute& it) const {
    std::vector<std::string> parts;
    for (const BodyStep& body_step : it.body) parts.push_back(std::visit(BodyWords{}, body_step));
    return "execute{" + join(parts) + "}";
  }
};

std::string words(const std::optional<Subtree>& value) {
  return value ? describe(*value) : "absent";
}

std::string words(CommitPath path) {
  switch (path) {
    case CommitPath::kFast:
      return " (fast)";
    case CommitPath::kMerged:
      return " (merged)";
    case CommitPath::kEmpty:
      return " (empty)";
  }
  return "";
}

std::string words(Rejection reason) {
  switch (reason) {
    case Rejection::kEmptyPath:
      return "empty path";
    case Rejection::kBadPath:
      return "bad path";
    case Rejection::kUnderScalar:
      return "under a scalar";
    case Rejection::kFutureVersion:
      return "future version";
  }
  return "";
}

struct ResponseWords {
  std::string operator()(const ValueRead& it) const { return words(it.value); }
  std::string operator()(const VersionIs& it) const { return std::to_string(it.version); }
  std::string operator()(const SnapshotIs& it) const {
    std::vector<std::string> parts;
    for (const auto& value : it.values) parts.push_back(words(value));
    return "[" + join(parts) + "] at version " + std::to_string(it.version);
  }
  std::string operator()(const Committed& it) const {
    return "committed as " + std::to_string(it.version) + (it.path ? words(*it.path) : "");
  }
  std::string operator()(const Conflict& it) const {
    return "conflict at " + (it.path.empty() ? "the global version" : it.path) + ": expected " +
           std::to_string(it.expected) + ", found " + std::to_string(it.found);
  }
  std::string operator()(const Busy&) const { return "busy"; }
  std::string operator()(const Rejected& it) const { return "rejected: " + words(it.reason); }
  std::string operator()(const GaveUp&) const { return "gave up"; }
};

}  // namespace

std::string describe(const StoreOperation& operation) {
  return std::visit(OperationWords{}, operation);
}

std::string describe(const StoreResponse& response) {
  return std::visit(ResponseWords{}, response);
}

std::string describe(const StoreState& state) {
  return "version " + std::to_string(state.version) + " " + describe(Subtree(state.leaves));
}

}  // namespace touchstone::model
