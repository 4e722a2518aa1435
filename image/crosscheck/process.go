package crosscheck

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"imprint/image/crosscheck/opinion"
	"imprint/internal/hosttool"

	"golang.org/x/sys/unix"
)

// Limits of the process that reads.
const (
	addressSpace = 6 << 30 // bytes; Go's runtime reserves a part of them that it never uses
	answerBytes  = 1 << 30 // size of its answer
	patience     = 2 * time.Minute
	slowest      = 4 << 20 // bytes a second: a library that reads more slowly gets no more time
)

// Process returns an Asker that runs a program for each request: the program's main calls [Serve].
func Process(program, name string, args ...string) Asker {
	return func(ctx context.Context, f *os.File, r opinion.Request) (*opinion.View, error) {
		request, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		limit := patience + time.Duration(r.Size/slowest)*time.Second
		ctx, stop := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer in %v", limit))
		defer stop()
		result, err := hosttool.Run(ctx, hosttool.Command{
			Name: program, As: name, Args: args, Stdin: bytes.NewReader(request), Files: []*os.File{f}, Limit: answerBytes,
		})
		if err != nil {
			return nil, brief(err)
		}
		return parse(result.Output)
	}
}

// parse decodes an answer. It is untrusted: a hostile image may have taken over the process.
func parse(text []byte) (*opinion.View, error) {
	var v opinion.View
	err := json.Unmarshal(text, &v)
	if err == nil && v.Root != nil {
		err = complete(v.Root)
	}
	if err != nil {
		return nil, fmt.Errorf("unreadable answer: %w", err)
	}
	return &v, nil
}

// complete returns an error if a node is null. The recursion is bounded: encoding/json nests no deeper than 10,000.
func complete(n *opinion.Node) error {
	for _, k := range n.Kids {
		if k == nil {
			return errors.New("a null in place of a file")
		}
		if err := complete(k); err != nil {
			return err
		}
	}
	return nil
}

// brief reduces the error of a process to the first line that it printed, since a panic prints many.
func brief(err error) error {
	var exit *hosttool.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	for line := range strings.Lines(exit.Stderr) {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, prefix) {
			return errors.New(strings.TrimSpace(strings.TrimPrefix(line, prefix)))
		}
	}
	return fmt.Errorf("the process ended with %s", exit.Status)
}

// prefix marks the line with the error in the output of a process.
const prefix = "cannot read: "

// Serve answers the request on standard input about the file with descriptor 3. It limits the resources of the whole process, so it is for
// a process that does nothing else.
func Serve(in io.Reader, out, errs io.Writer) error {
	for resource, most := range map[int]uint64{
		unix.RLIMIT_AS: addressSpace, unix.RLIMIT_CPU: 3600, unix.RLIMIT_CORE: 0, unix.RLIMIT_FSIZE: 0, unix.RLIMIT_NOFILE: 64,
	} {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return err
		}
		now.Cur, now.Max = min(now.Cur, most), min(now.Max, most)
		if err := unix.Setrlimit(resource, &now); err != nil {
			return err
		}
	}
	var r opinion.Request
	if err := json.NewDecoder(in).Decode(&r); err != nil {
		return err
	}
	v, err := opinion.Answer(os.NewFile(3, "image"), r)
	if err != nil {
		fmt.Fprintf(errs, "%s%.500q\n", prefix, err.Error())
		return err
	}
	return json.NewEncoder(out).Encode(v)
}
