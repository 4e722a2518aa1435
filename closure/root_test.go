package closure

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// link makes symlinks below dir, from pairs of path and target.
func link(t *testing.T, dir string, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		path := dir + "/" + pairs[i]
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(pairs[i+1], path)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestResolveRoot(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	item, inside := "/nix/store/"+digits+"-a", "/nix/store/"+digits+"-a/bin/sh"
	link(t, dir,
		"result", item, // which this machine does not have
		"again", "deep/er/../relative", "deep/relative", "../result", "deep/er/x", "y",
	)
	link(t, dir+"/mnt",
		"nix/store/"+digits+"-a", digits+"-b", // an item that is a symlink
		"nix/var/nix/profiles/system", "system-1-link", "nix/var/nix/profiles/system-1-link", item,
		"run/current", "/nix/var/nix/profiles/system", "run/host", dir+"/mnt/nix/var/nix/profiles/system",
		"sh", inside, "loop", "loop", "out", "/etc", "dangling", "nowhere",
		"profiles", "nix/var/nix/profiles",
	)
	for _, c := range []struct{ text, prefix, want string }{
		{item, "", ""},
		{item + "/", "/elsewhere", ""},
		{"/nix/store/../store/" + digits + "-a", "", ""},
		{dir + "/result", "", ""},
		{dir + "/result/", "", ""},
		{dir + "/again", "", ""},
		{dir + "/mnt" + item, dir + "/mnt/", ""},
		{dir + "/mnt/nix/var/nix/profiles/system", dir + "/mnt", ""},
		{dir + "/mnt/nix/var/nix/profiles/system", "", ""},
		{dir + "/mnt/run/current", dir + "/mnt", ""},
		{dir + "/mnt/run/host", dir + "/mnt", ""},
		{dir + "/mnt/profiles/system", dir + "/mnt", ""},
		{inside, "", inside + " is inside the store item " + item},
		{dir + "/mnt/sh", dir + "/mnt", inside + " is inside the store item " + item},
		{dir + "/mnt/loop", "", "more than 40 symlinks"},
		{dir + "/mnt/run", dir + "/mnt", "leads to " + dir + "/mnt/run, which is not in " + dir + "/mnt/nix/store"},
		{dir + "/mnt/dangling", "", "no such file"},
		{dir + "/absent/x", "", "no such file"},
		{"/gnu/store/" + digits + "-a", "", `is not in /nix/store: it is one of flavor "guix"`},
		{"/nix/store/short", "", `"short" has 5 characters`},
	} {
		p, err := Nix.ResolveRoot(c.text, c.prefix)
		if !says(err, c.want) || err == nil && p.String() != item {
			t.Errorf("%s below %q: %s, %v, want %q", c.text, c.prefix, p, err, c.want)
		}
	}
	var in *InsideError
	if _, err := Nix.ResolveRoot(inside, ""); !errors.As(err, &in) || in.Item.String() != item {
		t.Errorf("%v does not name the item", err)
	}
}
