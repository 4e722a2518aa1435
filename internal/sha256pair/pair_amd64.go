//go:build !purego

package sha256pair

// block hashes n > 0 blocks of 64 bytes from p on into the state h.
//
//go:noescape
func block(h *[8]uint32, p *byte, n int)

// block2 is block for two streams at once.
//
//go:noescape
func block2(h *[8]uint32, p *byte, i *[8]uint32, q *byte, n int)

// hasExtensions reports whether the processor has the SHA extensions, with SSSE3 and SSE4.1.
func hasExtensions() bool

var native = hasExtensions()
