// An emulated CUDA driver: the functions of libcuda.so that pada-engine calls. Device memory is host memory, and a launch runs the
// kernel on the host before it returns. An image of kernels is the name of a library in the folder of this one.
//
// PADA_EMULATED_FAULT is the name of a kernel that fails as if it accessed an illegal address: the next call that waits returns the error,
// and so do all later calls. If CUDA_LAUNCH_BLOCKING is 1, the launch itself returns it.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <map>
#include <mutex>
#include <string>

typedef int Result;
typedef unsigned long long Address;

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700 };

static const size_t MEMORY = size_t(2) << 30;
static const size_t ALIGNMENT = 256;

typedef void (*Run)(const char *, const unsigned *, unsigned, const void *);

struct Module {
    Run run;
};

struct Function {
    Run run;
    std::string name;
};

static std::mutex all_calls;
static std::map<Address, size_t> blocks;
static size_t used;
static bool faulted;

#define EXPORT extern "C" __attribute__((visibility("default"))) Result
#define LOCK std::lock_guard<std::mutex> lock(all_calls)

static bool contains(Address at, size_t bytes) {
    auto after = blocks.upper_bound(at);
    if (after == blocks.begin()) return false;
    const auto &block = *--after;
    return at + bytes <= block.first + block.second;
}

static Result waited() { return faulted ? ILLEGAL_ADDRESS : SUCCESS; }

EXPORT cuInit(unsigned) { return SUCCESS; }

EXPORT cuDriverGetVersion(int *version) {
    *version = 13000;
    return SUCCESS;
}

EXPORT cuGetErrorString(Result error, const char **text) {
    switch (error) {
    case SUCCESS: *text = "no error"; break;
    case INVALID_VALUE: *text = "invalid argument"; break;
    case OUT_OF_MEMORY: *text = "out of memory"; break;
    case NOT_FOUND: *text = "named symbol not found"; break;
    case ILLEGAL_ADDRESS: *text = "an illegal memory access was encountered"; break;
    default: return INVALID_VALUE;
    }
    return SUCCESS;
}

EXPORT cuDeviceGetCount(int *count) {
    *count = 1;
    return SUCCESS;
}

EXPORT cuDeviceGet(int *device, int ordinal) {
    *device = ordinal;
    return ordinal == 0 ? SUCCESS : INVALID_VALUE;
}

EXPORT cuDeviceGetName(char *name, int length, int) {
    snprintf(name, length, "emulated GPU");
    return SUCCESS;
}

EXPORT cuDeviceGetAttribute(int *value, int attribute, int) {
    switch (attribute) {
    case 16: *value = 4; break; // multiprocessors
    case 75: *value = 9; break; // compute capability, major
    case 76: *value = 0; break; // and minor
    default: return INVALID_VALUE;
    }
    return SUCCESS;
}

EXPORT cuDeviceTotalMem_v2(size_t *bytes, int) {
    *bytes = MEMORY;
    return SUCCESS;
}

EXPORT cuDevicePrimaryCtxRetain(void **context, int) {
    static int the_context;
    *context = &the_context;
    return SUCCESS;
}

EXPORT cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }

EXPORT cuCtxSetCurrent(void *) { return SUCCESS; }

EXPORT cuCtxSynchronize() {
    LOCK;
    return waited();
}

EXPORT cuModuleLoadData(void **module, const void *image) {
    const char *name = (const char *)image;
    if (strncmp(name, "libpada-kernels-", 16)) return INVALID_VALUE;
    Dl_info here;
    if (!dladdr((void *)cuModuleLoadData, &here)) return NOT_FOUND;
    std::string path = here.dli_fname;
    path = path.substr(0, path.rfind('/') + 1) + name;
    void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return NOT_FOUND;
    }
    *module = new Module{(Run)dlsym(library, "run")};
    return SUCCESS;
}

EXPORT cuModuleUnload(void *module) {
    delete (Module *)module;
    return SUCCESS;
}

EXPORT cuModuleGetFunction(void **function, void *module, const char *name) {
    // Functions belong to their module, which lives until the process ends.
    *function = new Function{((Module *)module)->run, name};
    return SUCCESS;
}

EXPORT cuFuncGetAttribute(int *value, int, void *) {
    *value = 0;
    return SUCCESS;
}

EXPORT cuOccupancyMaxActiveBlocksPerMultiprocessor(int *count, void *, int, size_t) {
    *count = 1;
    return SUCCESS;
}

EXPORT cuMemAlloc_v2(Address *address, size_t bytes) {
    LOCK;
    if (faulted) return ILLEGAL_ADDRESS;
    const size_t whole = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (bytes == 0) return INVALID_VALUE;
    if (used + whole > MEMORY) return OUT_OF_MEMORY;
    void *block = aligned_alloc(ALIGNMENT, whole);
    if (!block) return OUT_OF_MEMORY;
    memset(block, 0xff, whole); // so that uninitialised numbers are NaN
    *address = (Address)block;
    blocks[*address] = bytes;
    used += whole;
    return SUCCESS;
}

EXPORT cuMemFree_v2(Address address) {
    LOCK;
    auto block = blocks.find(address);
    if (block == blocks.end()) return INVALID_VALUE;
    used -= (block->second + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    blocks.erase(block);
    free((void *)address);
    return SUCCESS;
}

EXPORT cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
    LOCK;
    *free_bytes = MEMORY - used;
    *total = MEMORY;
    return SUCCESS;
}

EXPORT cuMemcpyHtoD_v2(Address to, const void *from, size_t bytes) {
    LOCK;
    if (!contains(to, bytes)) return INVALID_VALUE;
    if (faulted) return ILLEGAL_ADDRESS;
    memcpy((void *)to, from, bytes);
    return SUCCESS;
}

EXPORT cuMemcpyDtoH_v2(void *to, Address from, size_t bytes) {
    LOCK;
    if (!contains(from, bytes)) return INVALID_VALUE;
    if (faulted) return ILLEGAL_ADDRESS;
    memcpy(to, (const void *)from, bytes);
    return SUCCESS;
}

EXPORT cuMemsetD8Async(Address at, unsigned char byte, size_t bytes, void *) {
    LOCK;
    if (!contains(at, bytes)) return INVALID_VALUE;
    memset((void *)at, byte, bytes);
    return waited();
}

EXPORT cuLaunchKernel(
    void *function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned, unsigned, unsigned, void *, void **parameters, void **
) {
    LOCK;
    const Function &kernel = *(Function *)function;
    const char *fault = getenv("PADA_EMULATED_FAULT"), *blocking = getenv("CUDA_LAUNCH_BLOCKING");
    if (faulted) return ILLEGAL_ADDRESS;
    if (fault && kernel.name == fault) {
        faulted = true;
        return blocking && !strcmp(blocking, "1") ? ILLEGAL_ADDRESS : SUCCESS;
    }
    const unsigned grid[3] = {x, y, z};
    kernel.run(kernel.name.c_str(), grid, threads, parameters[0]);
    return SUCCESS;
}

EXPORT cuEventCreate(void **event, unsigned) {
    *event = new timespec();
    return SUCCESS;
}

EXPORT cuEventRecord(void *event, void *) {
    clock_gettime(CLOCK_MONOTONIC, (timespec *)event);
    return SUCCESS;
}

EXPORT cuEventElapsedTime_v2(float *milliseconds, void *first, void *last) {
    const timespec &from = *(timespec *)first, &to = *(timespec *)last;
    *milliseconds = (to.tv_sec - from.tv_sec) * 1e3f + (to.tv_nsec - from.tv_nsec) * 1e-6f;
    return SUCCESS;
}

EXPORT cuEventDestroy_v2(void *event) {
    delete (timespec *)event;
    return SUCCESS;
}
