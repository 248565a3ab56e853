/* A disk that fills up, where none can be mounted: preloaded, it refuses writes below FULL_DISK_BELOW with ENOSPC once the
 * files there hold FULL_DISK_BYTES. It counts what this process and its forks write; the first short write is refused whole. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static long written_bytes;

static int refuses(int fd, size_t wanted_bytes) {
    const char *below = getenv("FULL_DISK_BELOW"), *limit = getenv("FULL_DISK_BYTES");
    char link[64], path[PATH_MAX];
    if (!below || !limit) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, below, strlen(below)) != 0) return 0;
    if (__atomic_add_fetch(&written_bytes, (long)wanted_bytes, __ATOMIC_SEQ_CST) <= atol(limit)) return 0;
    errno = ENOSPC;
    return 1;
}

ssize_t write(int fd, const void *data, size_t count) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    return refuses(fd, count) ? -1 : real(fd, data, count);
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t offset) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "pwrite64");
    return refuses(fd, count) ? -1 : real(fd, data, count, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    static ssize_t (*real)(int, const struct iovec *, int);
    size_t wanted_bytes = 0;
    if (!real) real = dlsym(RTLD_NEXT, "writev");
    for (int i = 0; i < count; i++) wanted_bytes += parts[i].iov_len;
    return refuses(fd, wanted_bytes) ? -1 : real(fd, parts, count);
}

/* glibc's stdio calls its own write, which no preload sees */
size_t fwrite(const void *data, size_t size, size_t count, FILE *stream) {
    static size_t (*real)(const void *, size_t, size_t, FILE *);
    if (!real) real = dlsym(RTLD_NEXT, "fwrite");
    return refuses(fileno(stream), size * count) ? 0 : real(data, size, count, stream);
}
