package steprun

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/layer"
	"imprint/internal/objects"
	"imprint/internal/sandbox"
)

const asNobody = "STEPRUN_AS_NOBODY"

// An ordinary user with subordinate IDs has many owners: in the tree that a step sees, in what it makes, and in the next step's tree. Nothing of theirs is left on the
// host, where files are not the user's to remove.
func TestManyIDs(t *testing.T) {
	if os.Getenv(asNobody) == "" {
		runAsNobody(t)
		return
	}
	b := newBench(t)
	if b.Identity.Sub = sandbox.Subordinates(os.Getuid()); !b.Identity.Many() || b.Identity.Root {
		t.Fatalf("there are no IDs: %+v", b.Identity)
	}
	s := script("stat -c %u:%g:%a /mail /bin; mkdir -m 700 /own; touch /own/f; chown -R 33:34 /own; touch /root; chmod 4755 /mail; ln -s x /link; chown -h 5:5 /link")
	s.Caches = []Cache{{"c", "/cache"}}
	r, err := b.do(s)
	if err != nil {
		t.Fatalf("%v\n%s", err, b.output())
	}
	if said := b.output(); said != "0:8:2770\n0:0:755\n" {
		t.Errorf("the tree has %q", said)
	}
	if words(r.Layer) != "/link /mail /own /own/f /root" {
		t.Error(words(r.Layer))
	}
	var own []string
	for _, e := range r.Layer.Entries() {
		own = append(own, e.Path+" "+ids(e))
	}
	if got := strings.Join(own, ", "); got != "/link 5:5, /mail 0:8, /own 33:34, /own/f 33:34, /root 0:0" {
		t.Error(got)
	}
	b.below = b.on(objects.Digest{2}, []objects.Digest{r.ID}, layersOf(t, b, r)...)
	s = script("id -u; touch /own/g; ls -n /own /link /mail | cut -c1-10; stat -c %u:%g /own/f; mkdir /cache/d; chmod 0 /cache/d")
	s.UID, s.GID = 33, 34
	s.Caches = []Cache{{"c", "/cache"}}
	if _, err = b.do(s); err == nil || !strings.HasPrefix(b.output(), "33\n") { // the cache is root's
		t.Errorf("got %v", err)
	}
	s.Caches, s.Argv[2] = nil, "touch /own/g; stat -c %u:%g:%a /own/f /own/g /mail"
	if got := b.must(s); got != "/own/g" || b.output() != "33:34:644\n33:34:644\n0:8:4755\n" {
		t.Error(got)
	}
	if left := b.left("running"); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

func ids(e layer.Entry) string {
	a := e.Node.Inode().Attr
	return fmt.Sprintf("%d:%d", a.UID, a.GID)
}

// layersOf returns the layers of the tree of a bench with a result on top.
func layersOf(t *testing.T, b *bench, r *Result) []*layer.Layer {
	t.Helper()
	var entries []layer.Entry
	for path, n := range b.below.Walk() {
		entries = append(entries, layer.Entry{Path: path, Node: n})
	}
	l, err := layer.New(entries)
	if err != nil {
		t.Fatal(err)
	}
	return []*layer.Layer{l, r.Layer}
}

// runAsNobody runs the test as an ordinary user, with files in /etc that give it IDs.
func runAsNobody(t *testing.T) {
	hosttest.Need(t, "busybox")
	dir, err := os.MkdirTemp("", "steprun")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "test"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	c := hosttest.AsNobody(t, dir, "exec ./test -test.run '^TestManyIDs$' -test.v", true)
	c.Env = append(os.Environ(), asNobody+"=1", "TMPDIR="+dir)
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestManyIDs") {
		t.Errorf("%v\n%s", err, out)
	}
}
