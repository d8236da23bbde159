/*
 * LD_PRELOAD: makes chosen file calls of a process fail.
 *   FAULT_CALLS  names between commas: ",pwrite64,fdatasync,"
 *   FAULT_PATH   part of the path of the file behind the descriptor
 *   FAULT_ERRNO  number given to the caller
 *   FAULT_ARM    calls are counted only while this file exists
 *   FAULT_FIRST  first counted call that fails, from 1;  FAULT_LAST  last one
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static long counted;

static long number(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text ? atol(text) : otherwise;
}

/* 0, or the error this call has to fail with. */
static int fault(const char *call, int fd) {
  const char *calls = getenv("FAULT_CALLS"), *part = getenv("FAULT_PATH"), *arm = getenv("FAULT_ARM");
  if (!calls || !part || !arm) return 0;
  int saved = errno;
  char name[32], link[32], path[4096];
  snprintf(name, sizeof name, ",%s,", call);
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = strstr(calls, name) && access(arm, F_OK) == 0 ? readlink(link, path, sizeof path - 1) : -1;
  errno = saved;
  if (length < 0) return 0;
  path[length] = 0;
  if (!strstr(path, part)) return 0;
  long at = __sync_add_and_fetch(&counted, 1);
  return at >= number("FAULT_FIRST", 1) && at <= number("FAULT_LAST", 1L << 40) ? (int)number("FAULT_ERRNO", EIO) : 0;
}

#define WRAP(type, name, parameters, ...)                                        \
  type name parameters {                                                         \
    static type(*real) parameters;                                               \
    if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name);               \
    int error = fault(#name, fd);                                                \
    return error ? (errno = error, (type)-1) : real(__VA_ARGS__);                \
  }

WRAP(ssize_t, write, (int fd, const void *bytes, size_t length), fd, bytes, length)
WRAP(ssize_t, writev, (int fd, const struct iovec *parts, int count), fd, parts, count)
WRAP(ssize_t, pwrite, (int fd, const void *bytes, size_t length, off_t at), fd, bytes, length, at)
WRAP(ssize_t, pwrite64, (int fd, const void *bytes, size_t length, off64_t at), fd, bytes, length, at)
WRAP(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at), fd, parts, count, at)
WRAP(ssize_t, pwritev64, (int fd, const struct iovec *parts, int count, off64_t at), fd, parts, count, at)
WRAP(int, fsync, (int fd), fd)
WRAP(int, fdatasync, (int fd), fd)
