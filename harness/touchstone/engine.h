#pragma once
/* Touchstone's seam for an engine in a shared library: one function that describes it, in C.
 *
 *   static const touchstone_engine mine = {.abi = TOUCHSTONE_ENGINE_ABI, .name = "mine", .open = my_open, ...};
 *   const touchstone_engine *touchstone_engine_v1(void) { return &mine; }
 *
 *   cc -shared -fPIC -o libmine.so mine.c
 *   touchstone verify --engine ./libmine.so
 *
 * A complete engine is docs/examples/register_engine.c; docs/foreign.md says what the suite does with it. The state is
 * versioned: keys hold scalars, a commit of a non-empty set at version n makes version n + 1, all of it or nothing.
 *
 * Rules:
 *   E1  What the engine cannot do it does not declare in `capabilities`; the functions for it may be null, the suite
 *       never calls them, and the report says "not claimed".
 *   E2  open() and client() are called by one thread at a time; the functions that take a client by any number of
 *       threads at once, each with a client of its own. Nothing outlives the engine that it came from.
 *   E3  Text that is passed in belongs to the caller and lives as long as the call. Text that is passed out belongs to
 *       the engine and lives until the next call with the same client or pin.
 *   E4  A function returns after it did what it answers, in bounded time: one that takes longer than `patience_ms` counts
 *       as hung. What may or may not have happened is TOUCHSTONE_UNKNOWN; the client is then not used again.
 *   E5  The suite may unload the library only by ending its process; a crash is reported with its signal.
 *
 * The layout of version 1 never changes: a later version has another symbol, touchstone_engine_v2. */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TOUCHSTONE_ENGINE_ABI 1u

/* What an engine declares (E1). */
enum {
  TOUCHSTONE_CAN_STRICT = 1u << 0,         /* settings.strict: any stale expected version conflicts */
  TOUCHSTONE_CAN_VALIDATE_READS = 1u << 1, /* settings.validate_reads: reads count like writes in a commit */
  TOUCHSTONE_CAN_ERASE = 1u << 2,  /* a write of TOUCHSTONE_ABSENT removes a key, and conflicts like any */
  TOUCHSTONE_CAN_TICKET = 1u << 3, /* bounds a client's conflicts in a row; may answer TOUCHSTONE_BUSY */
  TOUCHSTONE_CAN_COMMIT_PATH = 1u << 4, /* says in answer.took how a commit went in */
  TOUCHSTONE_CAN_SNAPSHOTS = 1u << 5,   /* snapshot(): a read of several keys shows one version */
  TOUCHSTONE_CAN_PINS = 1u << 6,        /* pin(): an old version stays readable */
  TOUCHSTONE_CAN_REJECT = 1u << 7       /* answers bad paths and future versions with the words for it */
};

typedef enum touchstone_status {
  TOUCHSTONE_OK = 0,     /* of a read */
  TOUCHSTONE_COMMITTED,  /* answer.version: the new version; of an empty set the expected one */
  TOUCHSTONE_CONFLICT,   /* answer.path was changed at answer.version, after the expected one */
  TOUCHSTONE_BUSY,       /* nothing was done, and it was nobody's conflict */
  TOUCHSTONE_EMPTY_PATH, /* the four rejections: nothing was done */
  TOUCHSTONE_BAD_PATH,   /* components are separated by dots, and none is empty */
  TOUCHSTONE_UNDER_SCALAR,
  TOUCHSTONE_FUTURE_VERSION, /* the expected version is none yet */
  TOUCHSTONE_UNKNOWN,        /* it may have happened or not (E4) */
  TOUCHSTONE_FAILED          /* the engine is broken */
} touchstone_status;

typedef enum touchstone_kind {
  TOUCHSTONE_ABSENT = 0,
  TOUCHSTONE_BOOLEAN,
  TOUCHSTONE_INTEGER,
  TOUCHSTONE_DOUBLE,
  TOUCHSTONE_TEXT
} touchstone_kind;

typedef struct touchstone_value {
  touchstone_kind kind;
  int64_t integer;  /* of TOUCHSTONE_INTEGER; 0 or 1 of TOUCHSTONE_BOOLEAN */
  double number;    /* of TOUCHSTONE_DOUBLE; its bits are kept */
  const char* text; /* of TOUCHSTONE_TEXT: `length` bytes, not ended by a zero */
  size_t length;
} touchstone_value;

typedef struct touchstone_write {
  const char* path; /* ends with a zero, like every path */
  touchstone_value value;
} touchstone_write;

/* A compare-and-swap: all writes if no key among them (and among the reads, where they are validated) was changed after
 * `expected`; in strict mode if no commit at all came after it. The later of two writes to one key counts. */
typedef struct touchstone_commit {
  uint64_t expected;
  const touchstone_write* writes;
  size_t write_count;
  const char* const* reads;
  size_t read_count;
} touchstone_commit;

typedef enum touchstone_took {
  TOUCHSTONE_UNSAID = 0,
  TOUCHSTONE_FAST,   /* expected was the newest version */
  TOUCHSTONE_MERGED, /* other keys had changed since */
  TOUCHSTONE_EMPTY   /* nothing was to be written */
} touchstone_took;

typedef struct touchstone_answer {
  uint64_t version;
  const char* path; /* of a conflict; "" in strict mode */
  touchstone_took took;
} touchstone_answer;

typedef struct touchstone_settings {
  int strict;
  int validate_reads;
  int ticket;
  int backoff;
  uint64_t seed; /* for whatever the engine draws */
} touchstone_settings;

typedef struct touchstone_engine {
  uint32_t abi;          /* TOUCHSTONE_ENGINE_ABI */
  uint32_t capabilities; /* TOUCHSTONE_CAN_... */
  uint32_t patience_ms;  /* 0: ten seconds */
  const char* name;

  void* (*open)(const touchstone_settings* settings); /* a fresh engine at version 0; null: it cannot */
  void (*close)(void* engine);
  void* (*client)(void* engine, int id); /* null: it cannot */
  void (*client_end)(void* client);

  touchstone_status (*version)(void* client, uint64_t* version);
  touchstone_status (*read)(void* client, const char* path, touchstone_value* value);
  touchstone_status (*commit)(void* client, const touchstone_commit* commit, touchstone_answer* answer);

  /* TOUCHSTONE_CAN_SNAPSHOTS: the values of `count` paths at one version. */
  touchstone_status (*snapshot)(void* client, const char* const* paths, size_t count,
                                touchstone_value* values, uint64_t* version);

  /* TOUCHSTONE_CAN_PINS */
  void* (*pin)(void* engine, uint64_t* version);
  touchstone_status (*pin_read)(void* pin, const char* path, touchstone_value* value);
  void (*unpin)(void* pin);
} touchstone_engine;

/* The one symbol that the library has to have. */
const touchstone_engine* touchstone_engine_v1(void);

#ifdef __cplusplus
}
#endif
