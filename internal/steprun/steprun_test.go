package steprun

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"imprint/internal/environment"
	"imprint/internal/hosttest"
	"imprint/internal/hosttool"
	"imprint/internal/hosttree"
	"imprint/internal/layer"
	"imprint/internal/named"
	"imprint/internal/objects"
	"imprint/internal/sandbox"
	"imprint/internal/tree"
)

func TestMain(m *testing.M) {
	sandbox.Begin()
	os.Exit(m.Run())
}

// A bench is a store, and a tree with a shell.
type bench struct {
	*Runner
	t      *testing.T
	below  Tree
	mu     sync.Mutex
	events []Event
}

func attr(mode uint16) *tree.Attr { return &tree.Attr{Mode: mode, Mtime: tree.Time{Sec: 1}} }

var applets = []string{"cat", "chmod", "chown", "dd", "echo", "id", "ln", "ls", "mkdir", "mv", "rm", "rmdir", "sh", "sleep", "stat", "touch", "env", "true", "false"}

func newBench(t *testing.T) *bench {
	t.Helper()
	hosttest.Need(t, "busybox", "unshare")
	if exec.Command("unshare", "--user", "--map-root-user", "--mount", "true").Run() != nil {
		t.Skip("needs user namespaces")
	}
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	busybox, err := hosttree.File(path)
	if err != nil {
		t.Fatal(err)
	}
	if busybox, err = tree.PinContent(t.Context(), busybox); err != nil {
		t.Fatal(err)
	}
	passwd, err := tree.PinContent(t.Context(), tree.Text("root:x:0:0:::\n"))
	if err != nil {
		t.Fatal(err)
	}
	mail := attr(0o2770)
	mail.GID = 8
	dir := func(mode uint16) *tree.Node { return tree.NewDir("", attr(mode), nil) }
	entries := []layer.Entry{
		{Path: "/bin", Node: dir(0o755)}, {Path: "/proc", Node: dir(0o555)}, {Path: "/dev", Node: dir(0o755)}, {Path: "/etc", Node: dir(0o755)}, {Path: "/mail", Node: tree.NewDir("", mail, nil)},
		{Path: "/bin/busybox", Node: tree.NewFile("", attr(0o755), busybox)}, {Path: "/etc/passwd", Node: tree.NewFile("", attr(0o644), passwd)},
	}
	for _, name := range applets {
		entries = append(entries, layer.Entry{Path: "/bin/" + name, Node: tree.NewSymlink("", attr(0o777), "busybox")})
	}
	l, err := layer.New(entries)
	if err != nil {
		t.Fatal(err)
	}
	store, err := environment.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t}
	b.Runner = &Runner{Store: store, Identity: sandbox.Identity{UID: os.Getuid(), GID: os.Getgid(), Root: sandbox.HasIDs(os.Getuid())}, Report: func(e Event) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.events = append(b.events, e)
	}}
	b.below = b.on(objects.Digest{1}, nil, l)
	return b
}

// on returns the tree of layers.
func (b *bench) on(pin objects.Digest, after []objects.Digest, layers ...*layer.Layer) Tree {
	b.t.Helper()
	builder := tree.NewBuilder(environment.Implied)
	for _, l := range layers {
		if err := l.Put(builder, ""); err != nil {
			b.t.Fatal(err)
		}
	}
	tr, err := builder.Tree()
	if err != nil {
		b.t.Fatal(err)
	}
	return Tree{Tree: tr, Follow: builder.Follow, Pin: pin, After: after}
}

// script is a step that runs a script.
func script(text string) *Step {
	return &Step{Name: "test", Argv: []string{"sh", "-c", text}, Epoch: 5}
}

func (b *bench) do(s *Step) (*Result, error) {
	b.t.Helper()
	return b.doIn(b.t.Context(), s)
}

func (b *bench) doIn(ctx context.Context, s *Step) (*Result, error) {
	release, err := b.Store.Use(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return b.Do(ctx, s, b.below)
}

// must does a step, and returns the layer in words.
func (b *bench) must(s *Step) string {
	b.t.Helper()
	r, err := b.do(s)
	if err != nil {
		b.t.Fatalf("%v\n%s", err, b.output())
	}
	return words(r.Layer)
}

// words lists the paths of a layer.
func words(l *layer.Layer) string {
	var list []string
	for _, e := range l.Entries() {
		if e.Node == nil {
			list = append(list, "-"+e.Path)
		} else {
			list = append(list, e.Path)
		}
	}
	return strings.Join(list, " ")
}

// output returns what commands have written, as it was reported.
func (b *bench) output() string { return b.said(Output) }

// said returns the texts of a kind of event, and forgets them.
func (b *bench) said(kind Kind) (text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := b.events[:0:0]
	for _, e := range b.events {
		if e.Kind == kind {
			text += e.Text
		} else {
			rest = append(rest, e)
		}
	}
	b.events = rest
	return text
}

// left returns what is in a directory of the store.
func (b *bench) left(name string) (list []string) {
	entries, err := os.ReadDir(filepath.Join(b.Store.Dir(), name))
	if err != nil && !os.IsNotExist(err) {
		b.t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// A step runs once; the second time its result is found, and its log replayed.
func TestDo(t *testing.T) {
	b := newBench(t)
	s := script("echo said; echo new >/etc/new; rm /etc/passwd; chmod 700 /bin; touch /proc-not; cat /etc/none 2>/dev/null; true")
	if got := b.must(s); got != "/bin /etc/new -/etc/passwd /proc-not" {
		t.Error(got)
	}
	if said := b.output(); said != "said\n" {
		t.Errorf("it said %q", said)
	}
	r, err := b.do(s)
	if err != nil {
		t.Fatal(err)
	}
	n := r.Layer.Entries()[1].Node
	if n.Attr.Mtime != (tree.Time{Sec: 5}) || n.Attr.UID != 0 || n.Attr.Mode != 0o644 {
		t.Errorf("%+v", n.Attr)
	}
	if said := b.output(); said != "said\n" || !strings.Contains(b.said(Note), "has run before") {
		t.Errorf("the second time it said %q", said)
	}
	if hits, misses := b.Store.Steps().Counts(); hits != 1 || misses != 1 {
		t.Error(hits, misses)
	}
	if left := b.left("running"); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
	if got := b.must(script("true")); got != "" {
		t.Errorf("a step that changes nothing has %s", got)
	}
}

// What fails is not recorded, leaves nothing, and runs again.
func TestFailure(t *testing.T) {
	b := newBench(t)
	var failed *FailedError
	var exit *hosttool.ExitError
	for range 2 {
		_, err := b.do(script("echo once; touch /x; exit 7"))
		if !errors.As(err, &failed) || !errors.As(err, &exit) || exit.Code != 7 || err.Error() != `step "test": sh: exit status 7` && !strings.Contains(err.Error(), "exit status 7") {
			t.Errorf("got %v", err)
		}
		if said := b.output(); said != "once\n" {
			t.Errorf("it said %q", said)
		}
	}
	for _, c := range []struct {
		step *Step
		want string
	}{
		{&Step{Name: "none", Argv: []string{"none"}}, "there is no such program"},
		{&Step{Name: "far", Argv: []string{"true"}, Work: "/none"}, "enter /none in the tree"},
		{&Step{Name: "late", Argv: []string{"sleep", "100"}, Timeout: time.Millisecond}, "took longer than 1ms"},
		{&Step{Name: "no output", Argv: []string{"true"}, Outputs: []string{"/none"}}, "it has made no /none"},
		{&Step{Name: "large", Argv: []string{"dd", "if=/dev/zero", "of=/x", "bs=1024", "count=9"}, FileSize: 4096}, "exit status 1"},
	} {
		if _, err := b.do(c.step); err == nil || !strings.Contains(strings.ToLower(err.Error()), c.want) {
			t.Errorf("%s: %v", c.step.Name, err)
		}
	}
	if said := b.output(); !strings.Contains(said, "File too large") {
		t.Errorf("it said %q", said)
	}
	if left := append(b.left("running"), b.left("steps")...); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

// The ID depends on all that the result depends on.
func TestID(t *testing.T) {
	one := script("true")
	other := map[string]*Step{
		"run": script("false"), "env": {Env: []string{"A=b"}}, "user": {UID: 1}, "work": {Work: "/etc"}, "network": {Network: true}, "epoch": {Epoch: 6},
		"input": {Inputs: []Input{{Target: "/x", Digest: "1"}}}, "contents": {Inputs: []Input{{Target: "/x", Digest: "2"}}},
		"mode": {Inputs: []Input{{Target: "/x", Digest: "1", File: tree.NewFile("", attr(0o755), tree.Text(""))}}}, "writable": {Inputs: []Input{{Target: "/x", Digest: "1", Writable: true}}}, "output": {Outputs: []string{"/x"}}, "cache": {Caches: []Cache{{"a", "/x"}}},
	}
	seen := map[objects.Digest]string{one.ID(objects.Digest{}): "the step", one.ID(objects.Digest{1}): "the tree"}
	for what, s := range other {
		id := s.ID(objects.Digest{})
		if seen[id] != "" {
			t.Errorf("%s and %s have one ID", what, seen[id])
		}
		seen[id] = what
	}
	same := script("true")
	same.Name, same.Memory, same.Timeout = "another", 1, 1
	if seen[same.ID(objects.Digest{})] != "the step" {
		t.Error("what makes no difference to the result changes the ID")
	}
}

// A step sees what it is given and nothing else of the host; places that were made for that are not part of the result.
func TestInputs(t *testing.T) {
	b := newBench(t)
	file := tree.NewFile("", attr(0o644), tree.Text("a file\n"))
	inner := tree.NewBuilder(attr(0o755))
	if err := inner.Add("/sub/in", tree.NewFile("", attr(0o644), tree.Text("in it\n")), ""); err != nil {
		t.Fatal(err)
	}
	dir, err := inner.Tree()
	if err != nil {
		t.Fatal(err)
	}
	s := script(`cat /etc/one /in/put/sub/in; touch /in/put/x 2>/dev/null && echo wrote; echo more >/etc/passwd; touch /own/y; ls /own; env; id -u`)
	s.Env = []string{"HOME=/x", "A=b"}
	s.Inputs = []Input{
		{Target: "/etc/one", File: file, Digest: "1"}, {Target: "/in/put", Dir: dir, Digest: "2"}, {Target: "/own", Dir: dir, Digest: "2", Writable: true},
		{Target: "/etc/passwd", File: file, Digest: "1", Writable: true},
	}
	if got := b.must(s); got != "" {
		t.Errorf("the result has %s", got)
	}
	said := b.output()
	for _, want := range []string{"a file\nin it\nsub\ny\n", "HOME=/x\n", "A=b\n", "SOURCE_DATE_EPOCH=5\n", "LC_ALL=C.UTF-8\n", "\n0\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in %q", want, said)
		}
	}
	if strings.Contains(said, "wrote") || strings.Contains(said, "TMPDIR") {
		t.Errorf("%q", said)
	}
	// One is in another one, in whatever order they are named, and whether there is a place for it or not.
	s = script("cat /in/sub/in /in/sub/one /in/new/sub/in; touch /in/x 2>/dev/null && echo wrote; touch /in/new/y && ls /in/new")
	s.Inputs = []Input{{Target: "/in/new", Dir: dir, Digest: "2", Writable: true}, {Target: "/in/sub/one", File: file, Digest: "1"}, {Target: "/in", Dir: dir, Digest: "2"}}
	b.output()
	if got := b.must(s); got != "" || b.output() != "in it\na file\nin it\nsub\ny\n" {
		t.Errorf("the result has %s", got)
	}
	s = script("touch /in/other")
	s.Inputs = []Input{{Target: "/in/put", Dir: dir, Digest: "2"}}
	if got := b.must(s); got != "/in /in/other" {
		t.Errorf("the result has %s", got)
	}
}

// With outputs nothing else counts.
func TestOutputs(t *testing.T) {
	b := newBench(t)
	s := script("mkdir -p /a/b /c; touch /a/b/f /a/g /c/h /etc/i; ln /c/h /a/b/h; rm /etc/passwd")
	s.Outputs = []string{"/a/b", "/bin"}
	if got := b.must(s); got != "/a /a/b /a/b/f /a/b/h" {
		t.Error(got)
	}
}

// A command that is not root is one of the users that there are.
func TestUser(t *testing.T) {
	b := newBench(t)
	s := script("id -u; id -g; touch /mail/x")
	s.UID, s.GID = 3, 8
	_, err := b.do(s)
	if !b.Identity.Many() {
		if err == nil || !strings.Contains(err.Error(), "become user") {
			t.Errorf("got %v", err)
		}
		return
	}
	if said := b.output(); err != nil || said != "3\n8\n" {
		t.Errorf("%v: %q", err, said)
	}
	r, err := b.do(s)
	if err != nil {
		t.Fatal(err)
	}
	if a := r.Layer.Entries()[0].Node.Attr; words(r.Layer) != "/mail/x" || a.UID != 3 || a.GID != 8 {
		t.Errorf("%s belongs to %d:%d", words(r.Layer), a.UID, a.GID)
	}
}

// With one ID only a command that changes owners fails, with the remedy, and one that does not works; owners of the tree below are kept.
func TestOneID(t *testing.T) {
	b := newBench(t)
	b.Identity = sandbox.Identity{UID: os.Getuid(), GID: os.Getgid()}
	_, err := b.do(script("touch /x && chown 33:33 /x"))
	var failed *FailedError
	if !errors.As(err, &failed) || !strings.Contains(failed.Hint, "uidmap") {
		t.Errorf("got %v", err)
	}
	r, err := b.do(script("touch /x /none; chmod 0 /none; chmod 755 /mail; touch /mail/x"))
	if err != nil {
		t.Fatal(err)
	}
	if words(r.Layer) != "/mail /mail/x /none /x" {
		t.Error(words(r.Layer))
	}
	if a := r.Layer.Entries()[0].Node.Attr; a.GID != 8 || a.Mode != 0o755 {
		t.Errorf("%+v", a)
	}
	if a := r.Layer.Entries()[2].Node.Attr; a.Mode != 0 {
		t.Errorf("%+v", a)
	}
}

// Callers of one step share a run, and cancelling one does not cancel the others.
func TestShared(t *testing.T) {
	b := newBench(t)
	const slow = "echo begun; sleep 1; echo done; touch /x"
	ctx, cancel := context.WithCancelCause(t.Context())
	cancelled := errors.New("cancelled")
	first := make(chan error, 1)
	go func() { _, err := b.doIn(ctx, script(slow)); first <- err }()
	b.wait("begun\n")
	var all sync.WaitGroup
	others := make([]*bench, 2)
	for i := range others {
		others[i] = b.another()
		all.Go(func() {
			if r, err := others[i].do(script(slow)); err != nil || words(r.Layer) != "/x" {
				t.Errorf("another: %v", err)
			}
		})
	}
	for _, o := range others {
		o.wait("begun\n")
	}
	cancel(cancelled)
	if err := <-first; !errors.Is(err, cancelled) {
		t.Errorf("the first: %v", err)
	}
	all.Wait()
	for _, o := range others {
		if said := o.output(); said != "begun\ndone\n" {
			t.Errorf("another heard %q", said)
		}
	}
	if left := b.left("running"); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

// Callers of a step that fails hear of the one failure; a run that nobody wants any more ends, and leaves nothing.
func TestSharedFailure(t *testing.T) {
	b := newBench(t)
	s := script("echo begun; sleep 1; exit 3")
	errs := make(chan error, 2)
	go func() { _, err := b.do(s); errs <- err }()
	b.wait("begun\n")
	o := b.another()
	go func() { _, err := o.do(s); errs <- err }()
	for range 2 {
		var exit *hosttool.ExitError
		if err := <-errs; !errors.As(err, &exit) || exit.Code != 3 {
			t.Errorf("got %v", err)
		}
	}
	if said := o.output(); said != "begun\n" {
		t.Errorf("another heard %q", said)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	b.output()
	go func() { _, err := b.doIn(ctx, script("echo begun; sleep 100")); done <- err }()
	b.wait("begun\n")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left := b.left("running"); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

// another is a caller with the same store, as another process is.
func (b *bench) another() *bench {
	o := &bench{t: b.t, below: b.below}
	o.Runner = &Runner{Store: b.Store, Identity: b.Identity, Report: func(e Event) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.events = append(o.events, e)
	}}
	return o
}

// wait waits until a command has written a text.
func (b *bench) wait(text string) {
	b.t.Helper()
	for range 3000 {
		b.mu.Lock()
		said := ""
		for _, e := range b.events {
			if e.Kind == Output {
				said += e.Text
			}
		}
		b.mu.Unlock()
		if strings.Contains(said, text) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.t.Fatalf("%q was not said", text)
}

// What is kept and is damaged or incomplete is not taken, and made again.
func TestDamage(t *testing.T) {
	b := newBench(t)
	s := script("echo new >/etc/new")
	if got := b.must(s); got != "/etc/new" {
		t.Fatal(got)
	}
	id := objects.Text(s.ID(b.below.Pin))
	damages := map[string]func() error{
		"record": func() error {
			return os.WriteFile(filepath.Join(b.Store.Dir(), "steps", id, "record"), []byte("imprint step 1\n"), 0o600)
		},
		"content": func() error { return b.eachObject(4, os.Remove) },
		"text": func() error {
			return b.eachObject(4, func(path string) error {
				return errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte("New\n"), 0o600))
			})
		},
		"objects": func() error { return os.RemoveAll(filepath.Join(b.Store.Dir(), "objects")) },
	}
	for what, damage := range damages {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if got := b.must(s); got != "/etc/new" || strings.Contains(b.said(Note), "has run before") {
			t.Errorf("%s: %s", what, got)
		}
		if _, err := b.Find(t.Context(), s, b.below.Pin); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// eachObject changes the contents with a size.
func (b *bench) eachObject(size int64, change func(path string) error) error {
	return filepath.WalkDir(filepath.Join(b.Store.Dir(), "objects"), func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, _ := e.Info(); info.Size() == size {
				err = change(path)
			}
		}
		return err
	})
}

// A cache goes from run to run; of two that change it at the same time the later one is discarded, and it is not removed while a step uses it.
func TestCaches(t *testing.T) {
	b := newBench(t)
	step := func(text string) *Step {
		s := script(text)
		s.Caches = []Cache{{"pkg", "/var/cache"}}
		return s
	}
	if got := b.must(step("echo 1 >/var/cache/a; chmod 400 /var/cache/a; ls /var/cache")); got != "" {
		t.Errorf("the result has %s", got)
	}
	if _, err := b.do(step("echo no >/var/cache/no; exit 1")); err == nil {
		t.Error("no error")
	}
	if b.must(step("ls /var/cache; echo 2 >/var/cache/b")); b.output() != "a\na\n" {
		t.Error("the cache is not what it was")
	}
	slow := b.another()
	done := make(chan error)
	go func() { _, err := slow.do(step("echo begun; sleep 1; echo 3 >/var/cache/c")); done <- err }()
	slow.wait("begun\n")
	if err := b.Caches().Remove("pkg"); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
	if list, err := b.Caches().List(); err != nil || len(list) != 1 || !list[0].Busy || list[0].Bytes != 4 {
		t.Error(list, err)
	}
	b.must(step("echo 4 >/var/cache/d"))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if note := slow.said(Note); !strings.Contains(note, "was changed meanwhile, and is not kept") {
		t.Errorf("it notes %q", note)
	}
	b.output()
	if b.must(step("ls /var/cache #")); b.output() != "a\nb\nd\n" {
		t.Error("the later one counts")
	}
	if err := b.Caches().Remove("pkg"); err != nil {
		t.Error(err)
	}
	var unknown *named.UnknownError
	if err := b.Caches().Remove("../caches/pkg"); err == nil || errors.As(err, &unknown) {
		t.Errorf("got %v", err)
	}
	if err := b.Caches().Remove("pkg"); !errors.As(err, &unknown) {
		t.Errorf("got %v", err)
	}
}
