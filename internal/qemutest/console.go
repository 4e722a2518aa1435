package qemutest

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// escapes matches the escape sequences with which firmware paints its screen.
var escapes = regexp.MustCompile(`\x1b(\[[0-9;?=]*[A-Za-z]|[()][0-9A-B]|[=>c])`)

// A console takes what a guest writes to its serial line and checks every line. It looks for the marker in the unfinished last line too,
// since a prompt does not end in a newline.
type console struct {
	marker, bad          *regexp.Regexp
	echo                 io.Writer
	done                 strings.Builder // whole lines
	rest                 []byte          // the unfinished line, with escape sequences
	marked, failed       string
	hasMarker, hasFailed chan struct{}
}

func newConsole(o Options) (*console, error) {
	bad := "Kernel panic"
	if o.Bad != "" {
		bad += "|" + o.Bad
	}
	c := &console{echo: o.Echo, hasMarker: make(chan struct{}), hasFailed: make(chan struct{})}
	var err error
	if c.marker, err = regexp.Compile(o.Marker); err != nil {
		return nil, err
	}
	if c.bad, err = regexp.Compile(bad); err != nil {
		return nil, err
	}
	if o.Marker == "" {
		return nil, fmt.Errorf("boot %s: no marker to wait for", o.Image)
	}
	return c, nil
}

// Write implements io.Writer.
func (c *console) Write(p []byte) (int, error) {
	c.rest = append(c.rest, p...)
	for {
		line, rest, whole := bytes.Cut(c.rest, []byte("\n"))
		if !whole {
			break
		}
		text := plain(line)
		c.rest = rest
		c.done.WriteString(text + "\n")
		c.lookForMarker(text)
		c.lookForFailure(text)
		if c.echo != nil {
			fmt.Fprintln(c.echo, text)
		}
	}
	c.lookForMarker(plain(c.rest))
	return len(p), nil
}

func plain(line []byte) string {
	return strings.ToValidUTF8(string(bytes.ReplaceAll(escapes.ReplaceAll(line, nil), []byte("\r"), nil)), "�")
}

func (c *console) lookForMarker(line string) {
	if c.marked == "" && c.marker.MatchString(line) {
		c.marked = line
		close(c.hasMarker)
	}
}

func (c *console) lookForFailure(line string) {
	if c.failed == "" && c.bad.MatchString(line) {
		c.failed = line
		close(c.hasFailed)
	}
}

// text returns all output; call it only when there will be no more.
func (c *console) text() string { return c.done.String() + plain(c.rest) }
