package inflate

import (
	"errors"
	"fmt"
)

// literalRun is the state after a run of four literals or more; after fewer of them the state is their number.
const literalRun = 4

// A lzo unpacks a stream of LZO1X (Linux, Documentation/staging/lzo.rst): instructions that copy literals, or bytes that came before and then up to
// three literals.
type lzo struct {
	output
	state int // literals that the last instruction copied, up to literalRun: the meaning of the next one depends on it
	ended bool
}

// LZO unpacks a stream of LZO1X in its first version.
func LZO(dst, src []byte) (int, error) {
	z := &lzo{output: output{src: src, dst: dst}}
	err := z.begin()
	for err == nil && !z.ended {
		err = z.instruction()
	}
	if err == nil && len(z.src) > 0 {
		err = fmt.Errorf("%d bytes follow its end", len(z.src))
	}
	if err != nil {
		return z.n, fmt.Errorf("lzo: %w", err)
	}
	return z.n, nil
}

// begin unpacks the literals at the beginning, if there are any.
func (z *lzo) begin() error {
	switch {
	case len(z.src) == 0:
		return errShort
	case z.src[0] == 17 && len(z.src) >= 5: // a shorter one is empty
		return errors.New("has another version")
	case z.src[0] <= 17:
		return nil
	}
	n := int(z.src[0]) - 17
	z.src = z.src[1:]
	z.state = min(n, literalRun)
	return z.literals(n)
}

// instruction unpacks one instruction.
func (z *lzo) instruction() error {
	op, err := z.byte()
	switch {
	case err != nil:
		return err
	case op >= 64:
		return z.near(op)
	case op >= 32:
		return z.middle(op)
	case op >= 16:
		return z.far(op)
	case z.state == 0:
		n, err := z.length(op, 15)
		if err != nil {
			return err
		}
		z.state = literalRun
		return z.literals(n + 3)
	}
	more, err := z.byte()
	if err != nil {
		return err
	}
	distance, n := more<<2+op>>2+1, 2
	if z.state == literalRun {
		distance, n = distance+2048, 3
	}
	return z.copy(distance, n, op&3)
}

// near copies 3 to 8 bytes from a distance up to 2 KiB.
func (z *lzo) near(op int) error {
	more, err := z.byte()
	if err != nil {
		return err
	}
	return z.copy(more<<3+op>>2&7+1, op>>5+1, op&3)
}

// middle copies bytes from a distance up to 16 KiB.
func (z *lzo) middle(op int) error {
	n, err := z.length(op&31, 31)
	if err != nil {
		return err
	}
	d, err := z.uint16()
	if err != nil {
		return err
	}
	return z.copy(d>>2+1, n+2, d&3)
}

// far copies bytes from a distance of 16 to 48 KiB. The least distance is the end of the stream.
func (z *lzo) far(op int) error {
	n, err := z.length(op&7, 7)
	if err != nil {
		return err
	}
	d, err := z.uint16()
	if err != nil {
		return err
	}
	distance := 16<<10 + op&8<<11 + d>>2
	if distance == 16<<10 {
		z.ended = true
		return nil
	}
	return z.copy(distance, n+2, d&3)
}

// copy copies bytes that came before, and then literals.
func (z *lzo) copy(distance, n, literals int) error {
	if err := z.again(distance, n); err != nil {
		return err
	}
	z.state = literals
	return z.literals(literals)
}

// length completes a length in the bits of an instruction. If they are 0 it is all of them, 255 for each byte of 0 that follows, and the byte after those.
func (z *lzo) length(bits, all int) (int, error) {
	if bits != 0 {
		return bits, nil
	}
	for n := all; ; n += 255 {
		b, err := z.byte()
		switch {
		case err != nil:
			return 0, err
		case b != 0:
			return n + b, nil
		case n > len(z.dst):
			return 0, errLong
		}
	}
}
