package nbd

import (
	"slices"
)

// negotiate performs the handshake. It reports whether transmission follows.
func (c *client) negotiate() (ready bool, err error) {
	hello := order.AppendUint64(order.AppendUint64(nil, magicServer), magicOption)
	if err := c.send(order.AppendUint16(hello, handshakeFixed|handshakeNoZeroes)); err != nil {
		return false, err
	}
	var flags [4]byte
	if err := c.hurry(c.Patience); err != nil {
		return false, err
	}
	if err := c.read(flags[:]); err != nil {
		return false, err
	}
	chosen := order.Uint32(flags[:])
	if chosen&handshakeFixed == 0 || chosen&^(handshakeFixed|handshakeNoZeroes) != 0 {
		return false, errBroken
	}
	c.noZeroes = chosen&handshakeNoZeroes != 0
	for range maxOptions {
		o, err := c.option()
		if err != nil {
			return false, err
		}
		if done, ready, err := c.answer(o); done || err != nil {
			return ready, err
		}
	}
	return false, errBroken
}

// An option is a message of the client during the handshake.
type option struct {
	code uint32
	data []byte
}

func (c *client) option() (o option, err error) {
	if err := c.hurry(c.Patience); err != nil {
		return o, err
	}
	var head [16]byte
	if err := c.read(head[:]); err != nil {
		return o, err
	}
	n := order.Uint32(head[12:])
	if order.Uint64(head[:]) != magicOption || n > maxOption {
		return o, errBroken
	}
	o = option{order.Uint32(head[8:]), make([]byte, n)}
	return o, c.read(o.data)
}

// answer answers an option. done means that the handshake is over, ready that transmission follows.
func (c *client) answer(o option) (done, ready bool, err error) {
	switch o.code {
	case optExportName:
		if !c.known(string(o.data)) { // this option has no error reply
			return true, false, errBroken
		}
		return true, true, c.exportName(string(o.data))
	case optAbort:
		c.reply(o, repAck) // the client may be gone already
		return true, false, nil
	case optGo:
		ready, err = c.info(o)
		return ready, ready, err
	case optInfo:
		_, err = c.info(o)
	case optList:
		err = c.list(o)
	case optStructuredReply:
		if len(o.data) > 0 {
			return false, false, c.reply(o, repErrInvalid)
		}
		c.structured = true
		err = c.reply(o, repAck)
	case optListMeta, optSetMeta:
		err = c.meta(o)
	default:
		err = c.reply(o, repErrUnsup)
	}
	return false, false, err
}

// reply sends a reply to an option.
func (c *client) reply(o option, kind uint32, data ...[]byte) error {
	body := slices.Concat(data...)
	head := order.AppendUint64(nil, magicReply)
	for _, n := range []uint32{o.code, kind, uint32(len(body))} {
		head = order.AppendUint32(head, n)
	}
	return c.send(append(head, body...))
}

// known reports whether there is an export of that name. The empty name is that of the default export.
func (c *client) known(name string) bool { return name == "" || name == c.Name }

// exportName answers the old option that starts the transmission. Its reply has no header.
func (c *client) exportName(name string) error {
	c.choose(name)
	text := order.AppendUint64(nil, uint64(c.Export.Size()))
	text = order.AppendUint16(text, c.flags())
	if !c.noZeroes {
		text = append(text, make([]byte, 124)...)
	}
	return c.send(text)
}

// choose drops the metadata context if it was chosen for another name of the export.
func (c *client) choose(name string) { c.status = c.status && c.chosenFor == name }

func (c *client) list(o option) error {
	if len(o.data) > 0 {
		return c.reply(o, repErrInvalid)
	}
	name := order.AppendUint32(nil, uint32(len(c.Name)))
	if err := c.reply(o, repServer, name, []byte(c.Name), []byte(c.Description)); err != nil {
		return err
	}
	return c.reply(o, repAck)
}

// info answers optInfo and optGo. It reports whether the export exists.
func (c *client) info(o option) (ok bool, err error) {
	name, rest, ok := cutText(o.data)
	if !ok || len(rest) < 2 || len(rest) != 2+2*int(order.Uint16(rest)) {
		return false, c.reply(o, repErrInvalid)
	}
	if !c.known(name) {
		return false, c.reply(o, repErrUnknown, []byte("there is no such export"))
	}
	if o.code == optGo {
		c.choose(name)
	}
	kind := func(n uint16) []byte { return order.AppendUint16(nil, n) }
	export := order.AppendUint16(order.AppendUint64(kind(infoExport), uint64(c.Export.Size())), c.flags())
	if err := c.reply(o, repInfo, export); err != nil {
		return false, err
	}
	sizes := order.AppendUint32(order.AppendUint32(order.AppendUint32(kind(infoBlockSize), 1), blockSize), maxRequest)
	known := map[uint16][]byte{
		infoName: append(kind(infoName), c.Name...), infoDescription: append(kind(infoDescription), c.Description...), infoBlockSize: sizes,
	}
	for asked := rest[2:]; len(asked) > 0; asked = asked[2:] {
		n := order.Uint16(asked)
		if text := known[n]; text != nil {
			if err := c.reply(o, repInfo, text); err != nil {
				return false, err
			}
			delete(known, n) // send each only once
		}
	}
	return true, c.reply(o, repAck)
}

// meta answers optListMeta and optSetMeta.
func (c *client) meta(o option) error {
	name, rest, ok := cutText(o.data)
	if !ok || len(rest) < 4 || o.code == optSetMeta && !c.structured {
		return c.reply(o, repErrInvalid)
	}
	if !c.known(name) {
		return c.reply(o, repErrUnknown, []byte("there is no such export"))
	}
	count, found := order.Uint32(rest), false
	rest = rest[4:]
	if o.code == optListMeta && count == 0 {
		found = true
	}
	for ; count > 0; count-- {
		var query string
		if query, rest, ok = cutText(rest); !ok {
			return c.reply(o, repErrInvalid)
		}
		found = found || query == contextName || o.code == optListMeta && query == "base:"
	}
	if len(rest) > 0 {
		return c.reply(o, repErrInvalid)
	}
	id := uint32(0)
	if o.code == optSetMeta {
		c.status, c.chosenFor, id = found, name, contextID
	}
	if found {
		if err := c.reply(o, repMeta, order.AppendUint32(nil, id), []byte(contextName)); err != nil {
			return err
		}
	}
	return c.reply(o, repAck)
}

// cutText splits off a text after its length of 4 bytes.
func cutText(data []byte) (text string, rest []byte, ok bool) {
	if len(data) < 4 || uint64(len(data)-4) < uint64(order.Uint32(data)) {
		return "", nil, false
	}
	n := 4 + int(order.Uint32(data))
	return string(data[4:n]), data[n:], true
}
