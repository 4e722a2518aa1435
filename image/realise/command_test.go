package realise

import (
	"strings"
	"testing"

	"imprint/image/description"
	"imprint/image/host"
	"imprint/internal/sandbox"
	"imprint/internal/steprun"
	"imprint/internal/tree"
)

// etc is a tree with accounts; /etc is a link, which is followed.
func etc(t *testing.T, files map[string]string) steprun.Tree {
	t.Helper()
	attr := &tree.Attr{Mode: 0o755}
	b := tree.NewBuilder(attr)
	if err := b.Add("/etc", tree.NewSymlink("", attr, "/usr/etc"), ""); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := b.Add("/usr/etc/"+name, tree.NewFile("", attr, tree.Text(text)), ""); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return steprun.Tree{Tree: tr, Follow: b.Follow}
}

// The user and the group of a step are names of its tree or numbers, and have to be ones that there are.
func TestUser(t *testing.T) {
	files := map[string]string{"passwd": "root:x:0:0::/:\nwww:x:33:34::/:\n", "group": "staff:x:50:\n"}
	many := sandbox.Identity{Root: true}
	for _, c := range []struct {
		user, group string
		uid, gid    uint32
	}{{"", "", 0, 0}, {"root", "", 0, 0}, {"www", "", 33, 34}, {"33", "", 33, 34}, {"7", "", 7, 7}, {"www", "staff", 33, 50}, {"www", "9", 33, 9}} {
		uid, gid, err := who{etc(t, files), many}.ids(c.user, c.group)
		if err != nil || uid != c.uid || gid != c.gid {
			t.Errorf("%s, %s: %d:%d, %v", c.user, c.group, uid, gid, err)
		}
	}
	for _, c := range []struct {
		user, group string
		files       map[string]string
		identity    sandbox.Identity
		want        string
	}{
		{"ww", "", files, many, `there is no user "ww" in /etc/passwd`}, {"www", "stuff", files, many, `there is no group "stuff" in /etc/group`},
		{"www", "", nil, many, "the layers below have no /etc/passwd"}, {"4294967295", "", files, many, "is not the number of a user"},
		{"www", "", files, sandbox.Identity{}, "www is not root, and a step has only one user here"},
	} {
		if _, _, err := (who{etc(t, c.files), c.identity}).ids(c.user, c.group); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s: %v", c.user, c.group, err)
		}
	}
}

// A step is what the description says, with the environment of its base first.
func TestCommand(t *testing.T) {
	text := `name = "x"
[[step]]
name = "a"
run = ["sh", "-c", ""]
env = { B = "2", A = "1" }
directory = "/srv"
outputs = ["/out"]
timeout = 5
memory = "1KiB"
inputs = [{ source = "f", target = "/f", writable = true }]
cache = [{ name = "c", target = "/c" }]
[[partition]]
name = "p"
type = "linux-generic"
filesystem = "ext4"
[[partition.layer]]
step = "a"
`
	d, err := description.Parse("x.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	step := d.FindStep("a")
	r := &realising{Stage: Stage{Epoch: 9, Hosts: host.Inputs{step.Inputs.Items[0].Source.Key: {Blob: tree.Text("x"), Digest: "sha256:1"}}}}
	s, problems := r.command(step, etc(t, nil), []string{"PATH=/base"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if got := strings.Join(s.Env, " "); got != "PATH=/base A=1 B=2" {
		t.Error(got)
	}
	in := s.Inputs[0]
	if len(s.Argv) != 3 || s.Work != "/srv" || s.Timeout.Seconds() != 5 || s.Memory != 1024 || s.Epoch != 9 || s.Outputs[0] != "/out" || s.Caches[0].Name != "c" ||
		in.Target != "/f" || !in.Writable || in.Digest != "sha256:1" || in.File.Attr.Mode != 0o644 || in.File.Attr.Mtime.Sec != 9 {
		t.Errorf("%+v", s)
	}
	if _, err := (Stage{Description: d}).Steps(t.Context()); err == nil || !strings.Contains(err.Error(), "there is no build store") {
		t.Error(err)
	}
}
