// Package steprun runs steps: commands that turn one tree into the next, in a sandbox. What a step makes of a tree is kept under the digest of both (package
// stepstore), so that it runs once; it is a layer, whose owners are in its record and not on the host.
//
// Processes that want the same step over the same tree share one run. The first one prepares it and starts a job, which goes on as long as any of them
// waits; all of them read its log. A step that fails leaves nothing, and runs again the next time.
package steprun

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"imprint/internal/objects"
	"imprint/internal/sandbox"
	"imprint/internal/tree"
)

// A Step is a command.
type Step struct {
	Name string
	Argv []string // the program is looked for in the tree
	Env  []string // "NAME=value", besides [sandbox.Environment], or instead of what that has
	Work string   // working directory, "" for the top

	UID, GID uint32
	Network  bool

	Inputs  []Input
	Outputs []string // paths whose changes count; all changes if there are none
	Caches  []Cache

	Memory, FileSize, Processes int64 // limits, 0 for none: see [sandbox.Confinement]
	Timeout                     time.Duration

	Epoch int64 // time of all that is new or changed, seconds since 1970
}

// An Input is what a step sees of the host.
type Input struct {
	Target   string     // path in the tree
	Dir      *tree.Tree // a directory, whose contents are pinned
	File     *tree.Node // or a file
	Digest   string     // of its contents, and of the names and modes in a directory
	Writable bool       // the step may write to it; what it writes is discarded
}

// A Cache is a directory that steps hand on to later runs, under a name. What is in it is not part of the result, and should make no difference to that.
type Cache struct{ Name, Target string }

// A Tree is what a step runs over.
type Tree struct {
	*tree.Tree
	Follow func(path string) (n *tree.Node, real string) // as [tree.Builder.Follow]
	Pin    objects.Digest
	After  []objects.Digest // the steps that it has, the lowest first
}

// String returns the beginning of the command.
func (s *Step) String() string {
	const most = 100 // bytes
	text := strings.Join(strings.Fields(strings.Join(s.Argv, " ")), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// text is what identifies a step: all that its result depends on, besides the tree. Limits are not part of it: with more of anything a command that succeeds
// succeeds as well.
func (s *Step) text() []byte {
	b := fmt.Appendf(nil, "imprint command 1\nrun %q\nenv %q\nowner %d:%d\nwork %q\nnetwork %t\nepoch %d\n", s.Argv, s.environment(), s.UID, s.GID, s.Work, s.Network, s.Epoch)
	for _, in := range s.Inputs {
		mode := uint16(0) // that of a directory is in the digest
		if in.File != nil {
			mode = in.File.Attr.Mode
		}
		b = fmt.Appendf(b, "input %q %q %t %04o\n", in.Target, in.Digest, in.Writable, mode)
	}
	for _, c := range s.Caches {
		b = fmt.Appendf(b, "cache %q %q\n", c.Name, c.Target)
	}
	for _, path := range s.Outputs {
		b = fmt.Appendf(b, "output %q\n", path)
	}
	return b
}

// ID returns the digest of a step over the tree with a pin.
func (s *Step) ID(pin objects.Digest) objects.Digest {
	return sha256.Sum256(s.whole(pin))
}

// whole is the text of a step with the pin of its tree.
func (s *Step) whole(pin objects.Digest) []byte {
	return fmt.Appendf(s.text(), "on %s\n", objects.Text(pin))
}

// environment returns all variables of the command, each once: later values count.
func (s *Step) environment() (env []string) {
	at := map[string]int{}
	for _, v := range slices.Concat(sandbox.Environment(s.Epoch), s.Env) {
		name, _, _ := strings.Cut(v, "=")
		if i, again := at[name]; again {
			env[i] = v
			continue
		}
		at[name] = len(env)
		env = append(env, v)
	}
	return env
}

// A Kind is one of three levels of what is reported about steps.
type Kind int

// The kinds of events.
const (
	Heading Kind = iota // a step begins
	Note                // what imprint does about it
	Output              // what the command writes
)

// String returns the word for a kind.
func (k Kind) String() string { return [...]string{"heading", "note", "output"}[k] }

// An Event is something about a step, in the order in which it happens.
type Event struct {
	Kind Kind
	Step string
	Text string // of Output, any bytes that the command has written
}
