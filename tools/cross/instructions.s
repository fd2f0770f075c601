// A program whose instructions are known, for instructions.sh to see that they are counted right: 50,000 rounds of 4 products of the kind
// that SDOT is, 8 multiplications, 2 other vector instructions, 4 loads of vectors.
    .arch armv8.2-a+dotprod
    .text
    .global main
main:
    mov x0, #50000
1:  sdot v0.4s, v1.16b, v2.16b
    sdot v0.4s, v1.16b, v2.4b[3]
    udot v0.2s, v1.8b, v2.8b
    udot v0.4s, v1.16b, v2.4b[1]
    smull v0.8h, v1.8b, v2.8b
    smlal2 v0.8h, v1.16b, v2.16b
    smull v0.4s, v1.4h, v2.h[1]
    smlal v0.4s, v1.4h, v2.h[1]
    umlal v0.4s, v1.4h, v2.h[1]
    mul v0.4s, v1.4s, v2.4s
    mla v0.4s, v1.4s, v2.s[1]
    mul v0.8h, v1.8h, v2.h[1]
    sadalp v0.4s, v1.8h
    fmul v0.4s, v1.4s, v2.4s
    ldr q3, [sp]
    ldp q3, q4, [sp]
    ld1 {v3.16b}, [sp]
    ld1r {v3.4s}, [sp]
    subs x0, x0, #1
    b.ne 1b
    mov x0, #0
    ret
    .section .note.GNU-stack, "", %progbits
