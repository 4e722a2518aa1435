package ext4

// A codec copies the fields of a structure to or from its bytes, one after the other, so that one method describes a structure for writing
// and for reading. It is much faster than encoding/binary, which matters for a million inodes.
type codec struct {
	b     []byte
	write bool
}

func (c *codec) u16(fields ...*uint16) {
	b := c.b[:2*len(fields)]
	c.b = c.b[len(b):]
	if !c.write {
		for i, f := range fields {
			*f = le.Uint16(b[2*i:])
		}
		return
	}
	for i, f := range fields {
		le.PutUint16(b[2*i:], *f)
	}
}

func (c *codec) u32(fields ...*uint32) {
	b := c.b[:4*len(fields)]
	c.b = c.b[len(b):]
	if !c.write {
		for i, f := range fields {
			*f = le.Uint32(b[4*i:])
		}
		return
	}
	for i, f := range fields {
		le.PutUint32(b[4*i:], *f)
	}
}

func (c *codec) bytes(field []byte) {
	if c.write {
		copy(c.b, field)
	} else {
		copy(field, c.b)
	}
	c.b = c.b[len(field):]
}
