//go:build !amd64 || purego

package sha256pair

const native = false

func block(*[8]uint32, *byte, int)                     { panic("not native") }
func block2(*[8]uint32, *byte, *[8]uint32, *byte, int) { panic("not native") }
