package ext4

// A codec copies the fields of a structure to or from its bytes, one after the other, so that one method describes a structure for writing
// and for reading. It is much faster than encoding/binary, which matters for a million inodes.
type codec struct {
	b     []byte
	write bool
}

func (c *codec) u16(fields ...*uint16) {
	for _, f := range fields {
		if c.write {
			le.PutUint16(c.b, *f)
		} else {
			*f = le.Uint16(c.b)
		}
		c.b = c.b[2:]
	}
}

func (c *codec) u32(fields ...*uint32) {
	for _, f := range fields {
		if c.write {
			le.PutUint32(c.b, *f)
		} else {
			*f = le.Uint32(c.b)
		}
		c.b = c.b[4:]
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
