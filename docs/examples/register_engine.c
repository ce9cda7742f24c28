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
  char *path;
  touchstone_value value; /* ABSENT: erased; the version stays, so that a stale commit conflicts with the erasing */
  uint64_t changed;
};

struct engine {
  pthread_mutex_t mutex;
  bool strict, validate_reads;
  uint64_t version;
  size_t count, room;
  struct entry *entries;
};

/* A client keeps the texts that it was given last: they live until its next call. */
struct client {
  struct engine *engine;
  size_t count;
  char **texts;
};

static struct entry *find(struct engine *engine, const char *path) {
  for (size_t i = 0; i < engine->count; ++i)
    if (strcmp(engine->entries[i].path, path) == 0) return &engine->entries[i];
  return NULL;
}

static struct entry *find_or_add(struct engine *engine, const char *path) {
  struct entry *entry = find(engine, path);
  if (entry != NULL) return entry;
  if (engine->count == engine->room) {
    engine->room = engine->room == 0 ? 8 : 2 * engine->room;
    engine->entries = realloc(engine->entries, engine->room * sizeof *engine->entries);
  }
  entry = &engine->entries[engine->count++];
  memset(entry, 0, sizeof *entry);
  entry->path = strdup(path);
  return entry;
}

static char *copy_text(const touchstone_value *value) {
  char *text = malloc(value->length + 1);
  memcpy(text, value->text, value->length);
  return text;
}

static void forget_texts(struct client *client) {
  for (size_t i = 0; i < client->count; ++i) free(client->texts[i]);
  client->count = 0;
}

static touchstone_value shown(struct client *client, const struct entry *entry) {
  touchstone_value value = {.kind = TOUCHSTONE_ABSENT};
  if (entry == NULL) return value;
  value = entry->value;
  if (value.kind == TOUCHSTONE_TEXT) {
    client->texts = realloc(client->texts, (client->count + 1) * sizeof *client->texts);
    value.text = client->texts[client->count++] = copy_text(&entry->value);
  }
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
  for (size_t i = 0; i < engine->count; ++i) {
    free(engine->entries[i].path);
    if (engine->entries[i].value.kind == TOUCHSTONE_TEXT) free((char *)engine->entries[i].value.text);
  }
  free(engine->entries);
  pthread_mutex_destroy(&engine->mutex);
  free(engine);
}

static void *client_open(void *engine, int id) {
  (void)id;
  struct client *client = calloc(1, sizeof *client);
  client->engine = engine;
  return client;
}

static void client_end(void *it) {
  struct client *client = it;
  forget_texts(client);
  free(client->texts);
  free(client);
}

static touchstone_status version(void *it, uint64_t *version) {
  struct engine *engine = ((struct client *)it)->engine;
  pthread_mutex_lock(&engine->mutex);
  *version = engine->version;
  pthread_mutex_unlock(&engine->mutex);
  return TOUCHSTONE_OK;
}

static touchstone_status snapshot(void *it, const char *const *paths, size_t count, touchstone_value *values,
                                  uint64_t *version) {
  struct client *client = it;
  forget_texts(client);
  pthread_mutex_lock(&client->engine->mutex);
  *version = client->engine->version;
  for (size_t i = 0; i < count; ++i) values[i] = shown(client, find(client->engine, paths[i]));
  pthread_mutex_unlock(&client->engine->mutex);
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
    if (entry->value.kind == TOUCHSTONE_TEXT) free((char *)entry->value.text);
    entry->value = commit->writes[i].value;
    if (entry->value.kind == TOUCHSTONE_TEXT) entry->value.text = copy_text(&commit->writes[i].value);
    entry->changed = engine->version;
  }
  return TOUCHSTONE_COMMITTED;
}

static touchstone_status commit(void *it, const touchstone_commit *commit, touchstone_answer *answer) {
  struct engine *engine = ((struct client *)it)->engine;
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
