#include "file/map.h"

#include "base/error.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static ex_code check_regular(const char *path, const struct stat *status, ex_error *error) {
    if (S_ISDIR(status->st_mode))
        return ex_fail(error, EX_ERROR_IO, 0, "%s: is a directory; give the path of a file in it", path);
    if (!S_ISREG(status->st_mode))
        return ex_fail(error, EX_ERROR_IO, 0, "%s: is not a regular file, so it cannot be mapped into memory", path);
    if (status->st_size == 0) return ex_fail(error, EX_ERROR_FORMAT, 0, "%s: the file is empty", path);
    if ((uint64_t)status->st_size > SIZE_MAX)
        return ex_fail(error, EX_ERROR_MEMORY, 0, "%s: the file is larger than the address space", path);
    return EX_OK;
}

static ex_code map_descriptor(ex_map *map, int descriptor, const char *path, ex_error *error) {
    struct stat status;
    if (fstat(descriptor, &status) != 0) return ex_fail_system(error, path, "read the size of the file");
    ex_code code = check_regular(path, &status, error);
    if (code != EX_OK) return code;
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED) return ex_fail_system(error, path, "map the file into memory");
    map->data = data;
    map->size = (uint64_t)status.st_size;
    return EX_OK;
}

ex_code ex_map_open(ex_map *map, const char *path, ex_error *error) {
    *map = (ex_map){NULL, 0};
    /* O_NONBLOCK: opening a pipe by mistake must not wait for somebody to write to it. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return ex_fail_system(error, path, "open the file");
    ex_code code = map_descriptor(map, descriptor, path, error);
    close(descriptor);
    return code;
}

void ex_map_close(ex_map *map) {
    if (map->data) munmap((void *)(uintptr_t)map->data, (size_t)map->size);
    *map = (ex_map){NULL, 0};
}
