/* A whole engine for `touchstone verify --engine ./libregister_engine.so`: registers in a table, one mutex, versions kept
 * beside the values. It declares what it can do and leaves the rest null; the report says what it did not claim.
 *
 *   cc -std=c11 -shared -fPIC -I <touchstone's include folder> -o libregister_engine.so register_engine.c -pthread
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "touchstone/engine.h"

struct entry {
  struct entry *next;
  touchstone_value value; /* ABSENT: erased; the version stays, so that a stale commit conflicts with the erasing */
  uint64_t changed;
  char path[];
};

/* What was a value once lives until the end, so that a client may look at it as long as it likes. */
struct text {
  struct text *next;
  char bytes[];
};

struct engine {
  pthread_mutex_t mutex;
  bool strict, validate_reads;
  uint64_t version;
  struct entry *entries;
  struct text *texts;
};

static struct entry *find(struct engine *engine, const char *path) {
  struct entry *entry = engine->entries;
  while (entry != NULL && strcmp(entry->path, path) != 0) entry = entry->next;
  return entry;
}

static struct entry *find_or_add(struct engine *engine, const char *path) {
  struct entry *entry = find(engine, path);
  if (entry != NULL) return entry;
  entry = calloc(1, sizeof *entry + strlen(path) + 1);
  strcpy(entry->path, path);
  entry->next = engine->entries;
  return engine->entries = entry;
}

static touchstone_value keep(struct engine *engine, touchstone_value value) {
  if (value.kind != TOUCHSTONE_TEXT) return value;
  struct text *text = malloc(sizeof *text + value.length + 1);
  memcpy(text->bytes, value.text, value.length);
  text->next = engine->texts;
  engine->texts = text;
  value.text = text->bytes;
  return value;
}

static void *engine_open(const touchstone_settings *settings) {
  struct engine *engine = calloc(1, sizeof *engine);
  pthread_mutex_init(&engine->mutex, NULL);
  engine->strict = settings->strict;
  engine->validate_reads = settings->validate_reads;
  return engine;
}

static void engine_close(void *it) {
  struct engine *engine = it;
  for (struct entry *entry; (entry = engine->entries) != NULL; free(entry)) engine->entries = entry->next;
  for (struct text *text; (text = engine->texts) != NULL; free(text)) engine->texts = text->next;
  pthread_mutex_destroy(&engine->mutex);
  free(engine);
}

/* A client is the engine itself: it has nothing of its own. */
static void *client_open(void *engine, int id) {
  (void)id;
  return engine;
}

static void client_end(void *client) { (void)client; }

static touchstone_status version(void *it, uint64_t *version) {
  struct engine *engine = it;
  pthread_mutex_lock(&engine->mutex);
  *version = engine->version;
  pthread_mutex_unlock(&engine->mutex);
  return TOUCHSTONE_OK;
}

static touchstone_status snapshot(void *it, const char *const *paths, size_t count, touchstone_value *values,
                                  uint64_t *version) {
  struct engine *engine = it;
  const touchstone_value absent = {.kind = TOUCHSTONE_ABSENT};
  pthread_mutex_lock(&engine->mutex);
  *version = engine->version;
  for (size_t i = 0; i < count; ++i) {
    const struct entry *entry = find(engine, paths[i]);
    values[i] = entry == NULL ? absent : entry->value;
  }
  pthread_mutex_unlock(&engine->mutex);
  return TOUCHSTONE_OK;
}

static touchstone_status read_one(void *it, const char *path, touchstone_value *value) {
  uint64_t ignored;
  return snapshot(it, &path, 1, value, &ignored);
}

static bool changed_since(struct engine *engine, const char *path, uint64_t expected, touchstone_answer *answer) {
  const struct entry *entry = find(engine, path);
  if (entry == NULL || entry->changed <= expected) return false;
  answer->path = entry->path;
  answer->version = entry->changed;
  return true;
}

static touchstone_status commit_locked(struct engine *engine, const touchstone_commit *commit,
                                       touchstone_answer *answer) {
  answer->version = commit->expected;
  if (commit->write_count == 0) return TOUCHSTONE_COMMITTED;
  if (engine->strict && commit->expected != engine->version) {
    answer->path = "";
    answer->version = engine->version;
    return TOUCHSTONE_CONFLICT;
  }
  for (size_t i = 0; i < commit->write_count; ++i)
    if (changed_since(engine, commit->writes[i].path, commit->expected, answer)) return TOUCHSTONE_CONFLICT;
  for (size_t i = 0; engine->validate_reads && i < commit->read_count; ++i)
    if (changed_since(engine, commit->reads[i], commit->expected, answer)) return TOUCHSTONE_CONFLICT;
  answer->version = ++engine->version;
  for (size_t i = 0; i < commit->write_count; ++i) {
    struct entry *entry = find_or_add(engine, commit->writes[i].path);
    entry->value = keep(engine, commit->writes[i].value);
    entry->changed = engine->version;
  }
  return TOUCHSTONE_COMMITTED;
}

static touchstone_status commit(void *it, const touchstone_commit *commit, touchstone_answer *answer) {
  struct engine *engine = it;
  pthread_mutex_lock(&engine->mutex);
  const touchstone_status status = commit_locked(engine, commit, answer);
  pthread_mutex_unlock(&engine->mutex);
  return status;
}

const touchstone_engine *touchstone_engine_v1(void) {
  static const touchstone_engine engine = {
      .abi = TOUCHSTONE_ENGINE_ABI,
      .capabilities = TOUCHSTONE_CAN_STRICT | TOUCHSTONE_CAN_VALIDATE_READS | TOUCHSTONE_CAN_ERASE |
                      TOUCHSTONE_CAN_SNAPSHOTS,
      .name = "register engine",
      .open = engine_open,
      .close = engine_close,
      .client = client_open,
      .client_end = client_end,
      .version = version,
      .read = read_one,
      .commit = commit,
      .snapshot = snapshot,
  };
  return &engine;
}
