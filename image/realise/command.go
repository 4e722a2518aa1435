package realise

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"imprint/image/description"
	"imprint/internal/accounts"
	"imprint/internal/diag"
	"imprint/internal/sandbox"
	"imprint/internal/steprun"
	"imprint/internal/tree"
)

// command returns a step as it runs in a tree, with the environment of its base.
func (r *realising) command(d *description.Step, t steprun.Tree, env []string) (*steprun.Step, diag.List) {
	s := &steprun.Step{
		Name: d.Name.V, Env: slices.Concat(env, d.Env.V), Work: d.Directory.V, Network: d.Network.V, Outputs: description.Strings(d.Outputs), Epoch: r.Epoch,
		Memory: d.Memory.V.Bytes, FileSize: d.FileSize.V.Bytes, Processes: d.Processes.V, Timeout: time.Duration(d.Timeout.V) * time.Second,
	}
	for _, word := range d.Run.Items {
		s.Argv = append(s.Argv, string(word.V))
	}
	for _, c := range d.Cache.Items {
		s.Caches = append(s.Caches, steprun.Cache{Name: c.Name.V, Target: c.Target.V})
	}
	var problems diag.List
	for _, in := range d.Inputs.Items {
		given, err := r.input(in)
		if err != nil {
			problems = append(problems, in.Source.Key.ProblemOf(err))
		}
		s.Inputs = append(s.Inputs, given)
	}
	a := who{t, r.Identity}
	var err error
	if s.UID, s.GID, err = a.ids(d.User.V, d.Group.V); err != nil {
		problems = append(problems, d.User.Key.ProblemOf(err))
	}
	return s, problems
}

// input returns a file or directory of the host as a step gets it.
func (r *realising) input(d description.StepInput) (given steprun.Input, err error) {
	in := r.Hosts[d.Source.Key]
	given = steprun.Input{Target: d.Target.V, Digest: in.Digest, Writable: d.Writable.V}
	top := tree.Attr{Mode: 0o755, Mtime: tree.Time{Sec: r.Epoch}}
	if in.Blob != nil {
		top.Mode = modeOf(tree.HostPath(in.Blob))
		given.File = tree.NewFile("", &top, in.Blob)
		return given, nil
	}
	nodes := make([]*tree.Node, len(in.Entries))
	for i, e := range in.Entries {
		nodes[i] = e.Node
	}
	b := tree.NewBuilder(&top)
	for i, n := range tree.Clone(nodes) { // several layers may have the step
		if err := b.Add(in.Entries[i].Path, n, ""); err != nil {
			return given, err
		}
	}
	given.Dir, err = b.Tree()
	return given, err
}

// modeOf returns the mode of a file that a step is given: of the host's permissions it keeps whether the file is a program.
func modeOf(path string) uint16 {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
		return 0o755
	}
	return 0o644
}

// who knows the accounts of a tree, and which of them a step can have.
type who struct {
	steprun.Tree
	identity sandbox.Identity
}

// ids returns the numbers of a user and a group, which are names or numbers. Without a group it is that of the user.
func (w who) ids(user, group string) (uid, gid uint32, err error) {
	if user == "" {
		return 0, 0, nil
	}
	uid, gid, err = w.user(user)
	if err == nil && group != "" {
		gid, err = w.number(group, "group", "/etc/group")
	}
	if err == nil && (uid != 0 || gid != 0) && !w.identity.Many() {
		err = diag.Mistake{Text: fmt.Sprintf("%s is not root, and a step has only one user here", user), Hint: sandbox.OneIDHint}
	}
	return uid, gid, err
}

// user returns the number of a user and of its group.
func (w who) user(name string) (uid, gid uint32, err error) {
	const file = "/etc/passwd"
	uid, err = w.number(name, "user", file)
	if err != nil {
		return 0, 0, err
	}
	text, _ := w.text(file)
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) > 3 && (f[0] == name || f[2] == name) {
			if n, err := strconv.ParseUint(f[3], 10, 32); err == nil {
				return uid, uint32(n), nil
			}
		}
	}
	return uid, uid, nil
}

// number returns the number of an account, which is a name in a file, or a number.
func (w who) number(name, what, file string) (uint32, error) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		if n > accounts.MaxID {
			return 0, fmt.Errorf("%s is not the number of a %s", name, what)
		}
		return uint32(n), nil
	}
	text, err := w.text(file)
	if err != nil {
		return 0, err
	}
	return accounts.Parse(text).ID(name, what, file)
}

// text returns the text of a file in the tree.
func (w who) text(path string) (string, error) {
	n, _ := w.Follow(path)
	if n == nil || n.Kind() != tree.File {
		return "", fmt.Errorf("the layers below have no %s", path)
	}
	text, err := tree.ReadAll(n.Blob(), accounts.MaxSize)
	return string(text), err
}
