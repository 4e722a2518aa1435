package daemon

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"imprint/closure/nar"
	"imprint/internal/framed"
)

// An Info is what the daemon says about a valid path. Paths are unchecked.
type Info struct {
	Deriver    string // "" if unknown
	NARHash    [32]byte
	NARSize    int64
	References []string
	Sigs       []string
	CA         string
}

// AddTempRoot keeps a path from the garbage collector until the connection ends. It need not be valid.
func (c *Client) AddTempRoot(ctx context.Context, path string) error {
	return c.do(ctx, func() error {
		if err := c.call(opAddTempRoot, text(path)); err != nil {
			return err
		}
		return c.numbers(1)
	})
}

// AddTempRoots is AddTempRoot for many paths, which are sent while the answers come.
func (c *Client) AddTempRoots(ctx context.Context, paths []string) error {
	return c.do(ctx, func() error {
		var ask []byte
		for _, p := range paths {
			ask = framed.AppendString(framed.AppendNumber(ask, opAddTempRoot), p)
		}
		sent := make(chan error, 1)
		go func() { sent <- c.send(ask) }()
		var refused error
		for range paths {
			said, err := c.added()
			if err != nil {
				return err // and the connection is closed, which ends the sending
			}
			refused = cmp.Or(refused, said)
		}
		return cmp.Or(<-sent, refused)
	})
}

// added reads the answer to a temporary root: refused is what the daemon has against it.
func (c *Client) added() (refused, err error) {
	err = c.messages(nil)
	var said *Error
	if errors.As(err, &said) {
		return err, nil
	}
	if err == nil {
		err = c.numbers(1)
	}
	return nil, err
}

// PathInfo returns what is registered about a path, nil if it is not valid.
func (c *Client) PathInfo(ctx context.Context, path string) (info *Info, err error) {
	err = c.do(ctx, func() error {
		if err := c.call(opQueryPathInfo, text(path)); err != nil {
			return err
		}
		valid, err := c.in.Number()
		if err != nil || valid == 0 {
			return err
		}
		info, err = c.info()
		return err
	})
	return info, err
}

// info reads a registration.
func (c *Client) info() (*Info, error) {
	i := &Info{}
	var err error
	if i.Deriver, err = c.in.String(maxText); err != nil {
		return nil, err
	}
	digits, err := c.in.String(maxText)
	if err != nil {
		return nil, err
	}
	if b, wrong := hex.DecodeString(digits); wrong != nil || copy(i.NARHash[:], b) != len(i.NARHash) || len(b) != len(i.NARHash) {
		return nil, c.in.Errorf("%.80q is no hash", digits)
	}
	if i.References, err = c.in.Strings(maxPaths); err != nil {
		return nil, err
	}
	if err := c.numbers(1); err != nil { // when it was registered
		return nil, err
	}
	size, err := c.in.Number()
	if err != nil {
		return nil, err
	}
	if i.NARSize = int64(size); i.NARSize < 0 {
		return nil, c.in.Errorf("a size of %d bytes", size)
	}
	if err := c.numbers(1); err != nil { // whether it was built here
		return nil, err
	}
	if i.Sigs, err = c.in.Strings(maxMessage); err != nil {
		return nil, err
	}
	i.CA, err = c.in.String(maxText)
	return i, err
}

// ValidPaths returns those of some paths that are valid.
func (c *Client) ValidPaths(ctx context.Context, paths []string) (valid []string, err error) {
	err = c.do(ctx, func() error {
		arguments := [][]byte{texts(paths)}
		if c.minor >= 27 {
			arguments = append(arguments, flag(false)) // without what could be substituted
		}
		if err := c.call(opQueryValidPaths, arguments...); err != nil {
			return err
		}
		valid, err = c.in.Strings(maxPaths)
		return err
	})
	return valid, err
}

// AllPaths returns all valid paths.
func (c *Client) AllPaths(ctx context.Context) (paths []string, err error) {
	err = c.do(ctx, func() error {
		if err := c.call(opQueryAllValidPaths); err != nil {
			return err
		}
		paths, err = c.in.Strings(maxPaths)
		return err
	})
	return paths, err
}

// Archive writes the NAR of a path to w. size is the registered one, which it may not exceed; w has to compare its hash.
func (c *Client) Archive(ctx context.Context, path string, size int64, w io.Writer) error {
	return c.do(ctx, func() error {
		if err := c.call(opNarFromPath, text(path)); err != nil {
			return err
		}
		_, err := nar.Copy(w, c.in, size)
		return err
	})
}

// Add makes a path valid. archive writes its NAR. What it refers to must be valid. Without trusted the daemon wants a signature that it trusts, or a
// content address; with it, it wants a trusted user.
func (c *Client) Add(ctx context.Context, path string, i Info, trusted bool, archive func(io.Writer) error) error {
	arguments := [][]byte{
		number(opAddToStoreNar), text(path), text(i.Deriver), text(hex.EncodeToString(i.NARHash[:])), texts(i.References), number(0), number(uint64(i.NARSize)),
		flag(false), texts(i.Sigs), text(i.CA), flag(false), flag(trusted),
	}
	return c.do(ctx, func() error {
		if err := c.send(arguments...); err != nil {
			return err
		}
		if c.minor < 23 {
			return c.supplied(archive)
		}
		return c.framed(archive)
	})
}

// supplied sends an archive as the daemon asks for it.
func (c *Client) supplied(archive func(io.Writer) error) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(archive(w)) }()
	defer r.Close()
	return c.messages(r)
}

// framed sends an archive in pieces, each after its length; the length 0 ends it. The daemon may say something meanwhile, and end with an error,
// after which it reads the rest and discards it.
func (c *Client) framed(archive func(io.Writer) error) error {
	said := make(chan error, 1)
	go func() { said <- c.messages(nil) }()
	err := archive(pieces{c, said})
	if err == nil {
		err = c.send(number(0))
	}
	if err != nil {
		c.conn.Close() // only the end of the connection tells the daemon that there is no more
		if heard := <-said; heard != nil {
			if e, ok := heard.(*Error); ok {
				return fmt.Errorf("%s", e.Error())
			}
		}
		return err
	}
	return <-said
}

// pieces writes pieces of an archive.
type pieces struct {
	*Client
	said chan error
}

// Write implements io.Writer.
func (p pieces) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if _, err := p.out.Write(number(uint64(len(b)))); err != nil {
		return 0, err
	}
	return p.out.Write(b)
}
