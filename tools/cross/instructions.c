// Counts the instructions that a program executes under qemu-aarch64, by kind: a plugin for qemu's translator, which instructions.sh
// compiles and loads. Whenever the program writes to its standard output, and when it ends, a JSON object with the numbers so far is added
// as a line to the file that the argument `out` names: so a line that the program prints before its work and one after it bound the work.
//
// qemu translates a program in blocks. Each is taken apart when it is translated and counted each time it begins, so numbers are exact and
// the program runs hardly slower. Only a block that a signal or a fault leaves half-way is counted whole.

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Debian packages no header of qemu's plugin interface, so what is used of it is declared here, in its version 1, which qemu 4.2 to 8.1 have.
#define EXPORT __attribute__((visibility("default")))
struct qemu_plugin_tb;
struct qemu_plugin_insn;
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *instruction);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t plugin, void (*call)(uint64_t plugin, struct qemu_plugin_tb *block));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, void (*call)(unsigned processor, void *data), int registers,
                                          void *data);
void qemu_plugin_register_vcpu_syscall_cb(uint64_t plugin, void (*call)(uint64_t plugin, unsigned processor, int64_t number, uint64_t a,
                                                                        uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f,
                                                                        uint64_t g, uint64_t h));
void qemu_plugin_register_atexit_cb(uint64_t plugin, void (*call)(uint64_t plugin, void *data), void *data);
enum { NO_REGISTERS = 0 };
EXPORT int qemu_plugin_version = 1;

// How an instruction's bits tell its kind ("A64 instruction set encoding" in the Arm architecture reference manual). The first row that fits
// decides, and the last one always fits.
enum kind { DOT, MULTIPLY, VECTOR_MEMORY, VECTOR, MEMORY, BRANCH, REST, KINDS };
static const char *const NAMES[KINDS] = {"dot", "multiply", "vector_memory", "vector", "memory", "branch", "rest"};
static const struct {
    uint32_t mask, value;
    enum kind kind;
} ROWS[] = {
    {0x9fe0fc00, 0x0e809400, DOT},           // SDOT and UDOT by a vector
    {0x9fc0f400, 0x0f80e000, DOT},           // SDOT and UDOT by an element
    {0x9f20bc00, 0x0e208000, MULTIPLY},      // SMULL, UMULL, SMLAL, UMLAL and their second halves, by a vector
    {0x9f007400, 0x0f002000, MULTIPLY},      // the same by an element: SMLAL, UMLAL
    {0x9f00f400, 0x0f00a000, MULTIPLY},      //   and SMULL, UMULL
    {0x9f20fc00, 0x0e209400, MULTIPLY},      // MLA, MLS
    {0xbf20fc00, 0x0e209c00, MULTIPLY},      // MUL
    {0xbf00b400, 0x2f000000, MULTIPLY},      // MLA, MLS by an element
    {0xbf00f400, 0x0f008000, MULTIPLY},      // MUL by an element
    {0x0e000000, 0x0c000000, VECTOR_MEMORY}, // loads and stores of vector registers
    {0x0e000000, 0x0e000000, VECTOR},        // anything else with vector or floating-point registers
    {0x0a000000, 0x08000000, MEMORY},        // other loads and stores, prefetches, atomic ones
    {0x1c000000, 0x14000000, BRANCH},        // branches, calls, returns, system calls, barriers
    {0, 0, REST},                            // integers: sums, addresses, comparisons
};

struct block {
    uint64_t runs;
    uint32_t of[KINDS];
    struct block *next;
};
static struct block *blocks;
static FILE *out;

static enum kind kind_of(uint32_t bits) {
    size_t row = 0;
    while ((bits & ROWS[row].mask) != ROWS[row].value)
        row++;
    return ROWS[row].kind;
}

static void begins(unsigned processor, void *data) {
    (void)processor;
    struct block *block = data;
    __atomic_fetch_add(&block->runs, 1, __ATOMIC_RELAXED);
}

static void translated(uint64_t plugin, struct qemu_plugin_tb *code) {
    (void)plugin;
    struct block *block = calloc(1, sizeof *block);
    if (!block) {
        fputs("instructions: no memory left; nothing can be counted\n", stderr);
        exit(1);
    }
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(code); i++) {
        uint32_t bits;
        memcpy(&bits, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(code, i)), sizeof bits);
        block->of[kind_of(bits)]++;
    }
    block->next = __atomic_load_n(&blocks, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&blocks, &block->next, block, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    }
    qemu_plugin_register_vcpu_tb_exec_cb(code, begins, NO_REGISTERS, block);
}

static void write_down(void) {
    uint64_t counts[KINDS] = {0};
    uint64_t all = 0;
    for (const struct block *block = __atomic_load_n(&blocks, __ATOMIC_ACQUIRE); block; block = block->next) {
        uint64_t runs = __atomic_load_n(&block->runs, __ATOMIC_RELAXED);
        for (int kind = 0; kind < KINDS; kind++) {
            counts[kind] += runs * block->of[kind];
            all += runs * block->of[kind];
        }
    }
    fprintf(out, "{\"all\": %" PRIu64, all);
    for (int kind = 0; kind < KINDS; kind++)
        fprintf(out, ", \"%s\": %" PRIu64, NAMES[kind], counts[kind]);
    fputs("}\n", out);
    fflush(out);
}

static void called(uint64_t plugin, unsigned processor, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                   uint64_t f, uint64_t g, uint64_t h) {
    (void)plugin, (void)processor, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    enum { WRITE = 64, STANDARD_OUTPUT = 1 }; // of Linux on aarch64
    if (number == WRITE && a == STANDARD_OUTPUT)
        write_down();
}

static void ended(uint64_t plugin, void *data) {
    (void)plugin;
    (void)data;
    write_down();
    fclose(out);
}

EXPORT int qemu_plugin_install(uint64_t plugin, const void *machine, int count, char **arguments);
EXPORT int qemu_plugin_install(uint64_t plugin, const void *machine, int count, char **arguments) {
    (void)machine;
    const char *name = "out=";
    if (count != 1 || strncmp(arguments[0], name, strlen(name)) != 0) {
        fputs("instructions: give the plugin one argument, out=FILE\n", stderr);
        return 1;
    }
    out = fopen(arguments[0] + strlen(name), "w");
    if (!out) {
        fprintf(stderr, "instructions: %s cannot be written\n", arguments[0] + strlen(name));
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(plugin, translated);
    qemu_plugin_register_vcpu_syscall_cb(plugin, called);
    qemu_plugin_register_atexit_cb(plugin, ended, NULL);
    return 0;
}
