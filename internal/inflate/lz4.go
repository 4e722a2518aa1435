package inflate

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var le = binary.LittleEndian

// errBefore is the error for a copy from before the beginning of the block.
var errBefore = errors.New("copies bytes from before its beginning")

// An output is a block that is being unpacked, and the packed bytes that are left.
type output struct {
	src, dst []byte
	n        int // bytes of dst so far
}

// literals copies bytes of the input.
func (o *output) literals(n int) error {
	switch {
	case n > len(o.src):
		return errShort
	case n > len(o.dst)-o.n:
		return errLong
	}
	o.n += copy(o.dst[o.n:], o.src[:n])
	o.src = o.src[n:]
	return nil
}

// again copies bytes that are already unpacked, which the copy may reach itself.
func (o *output) again(distance, n int) error {
	switch {
	case distance <= 0 || distance > o.n:
		return errBefore
	case n > len(o.dst)-o.n:
		return errLong
	}
	for n > 0 {
		k := copy(o.dst[o.n:o.n+n], o.dst[o.n-distance:o.n])
		o.n, n, distance = o.n+k, n-k, distance+k
	}
	return nil
}

// byte takes a byte of the input.
func (o *output) byte() (int, error) {
	if len(o.src) == 0 {
		return 0, errShort
	}
	b := o.src[0]
	o.src = o.src[1:]
	return int(b), nil
}

// uint16 takes two bytes of the input.
func (o *output) uint16() (int, error) {
	if len(o.src) < 2 {
		return 0, errShort
	}
	n := int(le.Uint16(o.src))
	o.src = o.src[2:]
	return n, nil
}

// LZ4 unpacks a block of LZ4 (lz4_Block_format.md): sequences of a token, literals, and a copy of what came before; the last has none.
func LZ4(dst, src []byte) (int, error) {
	o := &output{src: src, dst: dst}
	for {
		last, err := o.sequence()
		if err != nil {
			return o.n, fmt.Errorf("lz4: %w", err)
		}
		if last {
			return o.n, nil
		}
	}
}

// sequence unpacks one sequence, and reports whether it is the last one.
func (o *output) sequence() (last bool, err error) {
	token, err := o.byte()
	if err != nil {
		return false, err
	}
	n, err := o.lz4Length(token >> 4)
	if err != nil {
		return false, err
	}
	if err := o.literals(n); err != nil || len(o.src) == 0 {
		return true, err
	}
	distance, err := o.uint16()
	if err != nil {
		return false, err
	}
	if n, err = o.lz4Length(token & 15); err != nil {
		return false, err
	}
	const shortest = 4
	return false, o.again(distance, n+shortest)
}

// lz4Length completes a length, half a byte of the token: after 15 come bytes to add, up to one that is not 255.
func (o *output) lz4Length(n int) (int, error) {
	if n < 15 {
		return n, nil
	}
	for {
		b, err := o.byte()
		if err != nil {
			return 0, err
		}
		if n += b; b < 255 {
			return n, nil
		}
		if n > len(o.dst) {
			return 0, errLong
		}
	}
}
