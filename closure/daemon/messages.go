package daemon

import "io"

// The kinds of messages before a result (worker-protocol.hh).
const (
	msgNext   = 0x6f6c6d67
	msgRead   = 0x64617461
	msgWrite  = 0x64617416
	msgLast   = 0x616c7473
	msgError  = 0x63787470
	msgStart  = 0x53545254
	msgStop   = 0x53544f50
	msgResult = 0x52534c54
)

// Limits of messages.
const (
	maxMessage  = 1 << 20  // bytes
	maxMessages = 10 << 20 // before one result
	maxFields   = 1000
	maxTraces   = 10_000
)

// messages reads messages up to the last one, or to an error. source is what the daemon may ask for; it may be nil.
func (c *Client) messages(source io.Reader) error {
	for range maxMessages {
		kind, err := c.in.Number()
		if err != nil {
			return err
		}
		switch kind {
		case msgLast:
			return nil
		case msgError:
			return c.readError()
		case msgRead:
			err = c.supply(source)
		default:
			err = c.skip(kind)
		}
		if err != nil {
			return err
		}
	}
	return c.in.Errorf("more than %d messages", maxMessages)
}

// skip reads a message that is of no interest here: what the daemon logs, and its progress.
func (c *Client) skip(kind uint64) error {
	switch kind {
	case msgNext:
		return c.texts(1)
	case msgStart:
		if err := c.numbers(3); err != nil {
			return err
		}
		if err := c.texts(1); err != nil {
			return err
		}
		if err := c.fields(); err != nil {
			return err
		}
		return c.numbers(1)
	case msgStop:
		return c.numbers(1)
	case msgResult:
		if err := c.numbers(2); err != nil {
			return err
		}
		return c.fields()
	}
	return c.in.Errorf("an unknown message, %#x", kind)
}

func (c *Client) numbers(n int) error {
	for range n {
		if _, err := c.in.Number(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) texts(n int) error {
	for range n {
		if _, err := c.in.String(maxMessage); err != nil {
			return err
		}
	}
	return nil
}

// fields reads numbers and texts.
func (c *Client) fields() error {
	n, err := c.in.Number()
	if err != nil {
		return err
	}
	if n > maxFields {
		return c.in.Errorf("%d fields of a message", n)
	}
	for range n {
		kind, err := c.in.Number()
		switch {
		case err != nil:
			return err
		case kind == 0:
			err = c.numbers(1)
		case kind == 1:
			err = c.texts(1)
		default:
			err = c.in.Errorf("a field of the unknown kind %d", kind)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readError reads an error, and returns it as an [Error]. Before version 1.26 it is a text and a number.
func (c *Client) readError() error {
	if c.minor < 26 {
		text, err := c.in.String(maxMessage)
		if err == nil {
			err = c.numbers(1)
		}
		if err != nil {
			return err
		}
		return &Error{printable(text)}
	}
	if err := c.texts(1); err != nil { // "Error"
		return err
	}
	if err := c.numbers(1); err != nil { // its level
		return err
	}
	if err := c.texts(1); err != nil { // a name, which is no longer used
		return err
	}
	text, err := c.in.String(maxMessage)
	if err != nil {
		return err
	}
	if err := c.numbers(1); err != nil { // no position
		return err
	}
	n, err := c.in.Number()
	if err == nil && n > maxTraces {
		err = c.in.Errorf("%d traces of an error", n)
	}
	for range n {
		if err == nil {
			err = c.numbers(1)
		}
		if err == nil {
			err = c.texts(1)
		}
	}
	if err != nil {
		return err
	}
	return &Error{printable(text)}
}

// supply sends what the daemon asks for, as versions before 1.23 do.
func (c *Client) supply(source io.Reader) error {
	n, err := c.in.Number()
	if err != nil {
		return err
	}
	if source == nil {
		return c.in.Errorf("it asks for data, and there are none")
	}
	b := make([]byte, min(n, maxMessage))
	got, err := io.ReadFull(source, b)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return err
	}
	return c.send(text(string(b[:got])))
}
