//go:build !purego

#include "textflag.h"

// The round constants (FIPS 180-4, 4.2.2).
DATA k<>+0x00(SB)/8, $0x71374491428a2f98
DATA k<>+0x08(SB)/8, $0xe9b5dba5b5c0fbcf
DATA k<>+0x10(SB)/8, $0x59f111f13956c25b
DATA k<>+0x18(SB)/8, $0xab1c5ed5923f82a4
DATA k<>+0x20(SB)/8, $0x12835b01d807aa98
DATA k<>+0x28(SB)/8, $0x550c7dc3243185be
DATA k<>+0x30(SB)/8, $0x80deb1fe72be5d74
DATA k<>+0x38(SB)/8, $0xc19bf1749bdc06a7
DATA k<>+0x40(SB)/8, $0xefbe4786e49b69c1
DATA k<>+0x48(SB)/8, $0x240ca1cc0fc19dc6
DATA k<>+0x50(SB)/8, $0x4a7484aa2de92c6f
DATA k<>+0x58(SB)/8, $0x76f988da5cb0a9dc
DATA k<>+0x60(SB)/8, $0xa831c66d983e5152
DATA k<>+0x68(SB)/8, $0xbf597fc7b00327c8
DATA k<>+0x70(SB)/8, $0xd5a79147c6e00bf3
DATA k<>+0x78(SB)/8, $0x1429296706ca6351
DATA k<>+0x80(SB)/8, $0x2e1b213827b70a85
DATA k<>+0x88(SB)/8, $0x53380d134d2c6dfc
DATA k<>+0x90(SB)/8, $0x766a0abb650a7354
DATA k<>+0x98(SB)/8, $0x92722c8581c2c92e
DATA k<>+0xa0(SB)/8, $0xa81a664ba2bfe8a1
DATA k<>+0xa8(SB)/8, $0xc76c51a3c24b8b70
DATA k<>+0xb0(SB)/8, $0xd6990624d192e819
DATA k<>+0xb8(SB)/8, $0x106aa070f40e3585
DATA k<>+0xc0(SB)/8, $0x1e376c0819a4c116
DATA k<>+0xc8(SB)/8, $0x34b0bcb52748774c
DATA k<>+0xd0(SB)/8, $0x4ed8aa4a391c0cb3
DATA k<>+0xd8(SB)/8, $0x682e6ff35b9cca4f
DATA k<>+0xe0(SB)/8, $0x78a5636f748f82ee
DATA k<>+0xe8(SB)/8, $0x8cc7020884c87814
DATA k<>+0xf0(SB)/8, $0xa4506ceb90befffa
DATA k<>+0xf8(SB)/8, $0xc67178f2bef9a3f7
GLOBL k<>(SB), RODATA|NOPTR, $256

// The shuffle mask that swaps the bytes of each 32-bit word: SHA-256 reads big-endian words.
DATA swap<>+0x00(SB)/8, $0x0405060700010203
DATA swap<>+0x08(SB)/8, $0x0c0d0e0f08090a0b
GLOBL swap<>(SB), RODATA|NOPTR, $16

// A stream has two registers of state, s0 with A, B, E, F and s1 with C, D, G, H, and four of message words, m0 to m3. X0 is the implicit
// operand of SHA256RNDS2, X13 is temporary, X14 holds swap.

// load loads the state A to H at h into s0 and s1.
#define load(at, s0, s1) \
	MOVOU   (at), X13         \
	MOVOU   16(at), s1        \
	PSHUFD  $0xb1, X13, X13  \
	PSHUFD  $0x1b, s1, s1    \
	MOVOA   X13, s0          \
	PALIGNR $8, s1, s0       \
	PBLENDW $0xf0, X13, s1

// store stores s0 and s1 as the state A to H at h.
#define store(at, s0, s1) \
	PSHUFD  $0x1b, s0, X13   \
	PSHUFD  $0xb1, s1, s1    \
	MOVOA   X13, s0          \
	PBLENDW $0xf0, s1, s0    \
	PALIGNR $8, X13, s1      \
	MOVOU   s0, (at)          \
	MOVOU   s1, 16(at)

// words loads the 16 words of the block at p.
#define words(at, m0, m1, m2, m3) \
	MOVOU  (at), m0           \
	PSHUFB X14, m0           \
	MOVOU  16(at), m1         \
	PSHUFB X14, m1           \
	MOVOU  32(at), m2         \
	PSHUFB X14, m2           \
	MOVOU  48(at), m3         \
	PSHUFB X14, m3

// rounds computes four rounds, with the constants at offset i of k and the words in m.
#define rounds(i, s0, s1, m) \
	MOVOU       k<>+i(SB), X0 \
	PADDL       m, X0             \
	SHA256RNDS2 X0, s0, s1        \
	PSHUFD      $0x0e, X0, X0     \
	SHA256RNDS2 X0, s1, s0

// schedule replaces the words in m0 by those 16 later (FIPS 180-4, 6.2.2, step 1).
#define schedule(m0, m1, m2, m3) \
	MOVOA      m3, X13       \
	PALIGNR    $4, m2, X13   \
	SHA256MSG1 m1, m0        \
	PADDL      X13, m0       \
	SHA256MSG2 m3, m0

// one is four rounds of a stream and the words for four later ones; two is that for two streams.
#define one(i, m0, m1, m2, m3) \
	rounds(i, X1, X2, m0)        \
	schedule(m0, m1, m2, m3)

#define two(i, m0, m1, m2, m3, n0, n1, n2, n3) \
	rounds(i, X1, X2, m0)        \
	rounds(i, X7, X8, n0)        \
	schedule(m0, m1, m2, m3)     \
	schedule(n0, n1, n2, n3)

// func block(h *[8]uint32, p *byte, n int)
TEXT ·block(SB), NOSPLIT, $32-24
	MOVQ  h+0(FP), DI
	MOVQ  p+8(FP), SI
	MOVQ  n+16(FP), CX
	MOVOU swap<>(SB), X14
	load(DI, X1, X2)

next:
	MOVOU X1, 0(SP)
	MOVOU X2, 16(SP)
	words(SI, X3, X4, X5, X6)
	one(0, X3, X4, X5, X6)
	one(16, X4, X5, X6, X3)
	one(32, X5, X6, X3, X4)
	one(48, X6, X3, X4, X5)
	one(64, X3, X4, X5, X6)
	one(80, X4, X5, X6, X3)
	one(96, X5, X6, X3, X4)
	one(112, X6, X3, X4, X5)
	one(128, X3, X4, X5, X6)
	one(144, X4, X5, X6, X3)
	one(160, X5, X6, X3, X4)
	one(176, X6, X3, X4, X5)
	rounds(192, X1, X2, X3)
	rounds(208, X1, X2, X4)
	rounds(224, X1, X2, X5)
	rounds(240, X1, X2, X6)
	MOVOU 0(SP), X13
	PADDL X13, X1
	MOVOU 16(SP), X13
	PADDL X13, X2
	ADDQ  $64, SI
	DECQ  CX
	JNZ   next
	store(DI, X1, X2)
	RET

// func block2(h *[8]uint32, p *byte, i *[8]uint32, q *byte, n int)
TEXT ·block2(SB), NOSPLIT, $64-40
	MOVQ  h+0(FP), DI
	MOVQ  p+8(FP), SI
	MOVQ  i+16(FP), BX
	MOVQ  q+24(FP), DX
	MOVQ  n+32(FP), CX
	MOVOU swap<>(SB), X14
	load(DI, X1, X2)
	load(BX, X7, X8)

next:
	MOVOU X1, 0(SP)
	MOVOU X2, 16(SP)
	MOVOU X7, 32(SP)
	MOVOU X8, 48(SP)
	words(SI, X3, X4, X5, X6)
	words(DX, X9, X10, X11, X12)
	two(0, X3, X4, X5, X6, X9, X10, X11, X12)
	two(16, X4, X5, X6, X3, X10, X11, X12, X9)
	two(32, X5, X6, X3, X4, X11, X12, X9, X10)
	two(48, X6, X3, X4, X5, X12, X9, X10, X11)
	two(64, X3, X4, X5, X6, X9, X10, X11, X12)
	two(80, X4, X5, X6, X3, X10, X11, X12, X9)
	two(96, X5, X6, X3, X4, X11, X12, X9, X10)
	two(112, X6, X3, X4, X5, X12, X9, X10, X11)
	two(128, X3, X4, X5, X6, X9, X10, X11, X12)
	two(144, X4, X5, X6, X3, X10, X11, X12, X9)
	two(160, X5, X6, X3, X4, X11, X12, X9, X10)
	two(176, X6, X3, X4, X5, X12, X9, X10, X11)
	rounds(192, X1, X2, X3)
	rounds(192, X7, X8, X9)
	rounds(208, X1, X2, X4)
	rounds(208, X7, X8, X10)
	rounds(224, X1, X2, X5)
	rounds(224, X7, X8, X11)
	rounds(240, X1, X2, X6)
	rounds(240, X7, X8, X12)
	MOVOU 0(SP), X13
	PADDL X13, X1
	MOVOU 16(SP), X13
	PADDL X13, X2
	MOVOU 32(SP), X13
	PADDL X13, X7
	MOVOU 48(SP), X13
	PADDL X13, X8
	ADDQ  $64, SI
	ADDQ  $64, DX
	DECQ  CX
	JNZ   next
	store(DI, X1, X2)
	store(BX, X7, X8)
	RET

// func hasExtensions() bool
TEXT ·hasExtensions(SB), NOSPLIT, $0-1
	MOVB  $0, ret+0(FP)
	XORL  AX, AX
	CPUID
	CMPL  AX, $7
	JLT   done
	MOVL  $1, AX
	XORL  CX, CX
	CPUID
	ANDL  $0x80200, CX // SSE4.1 and SSSE3
	CMPL  CX, $0x80200
	JNE   done
	MOVL  $7, AX
	XORL  CX, CX
	CPUID
	SHRL  $29, BX      // SHA
	ANDL  $1, BX
	MOVB  BX, ret+0(FP)

done:
	RET
