package diff_test

import (
	"strings"
	"testing"

	"imprint/image/diff"
	"imprint/image/imagetest"
	"imprint/image/write"
)

// A rebuild is an image of another description, and what must be said of it.
type rebuild struct {
	name     string
	old, new string // in the description
	world    func(w imagetest.World)
	want     []string // classes and patterns
}

const seeded = "seed = \"8b0beb69-e91a-52b8-a4f7-8daa507158df\"\n" + `
[boot]
loader = "systemd-boot"
[[boot.entry]]
title = "test"
kernel = "${closure.system}/kernel"
initrd = ["${closure.system}/initrd"]
cmdline = "init=${closure.system}/init root=PARTUUID=${partition.root.partuuid}"
` + raw

func rebuilds() []rebuild {
	return []rebuild{
		{name: "text", old: "own name", new: "new name", want: []string{`file "root": /etc/machine, content \(3 bytes from byte 12 on\): a machine's own name -> a machine's new name`}},
		{name: "longer text", old: "own name", new: "own long name", want: []string{`file "root": /etc/machine, content: a machine's own name -> a machine's own long name`}},
		{name: "mode", old: `text = "a machine's own name"`, new: `text = "a machine's own name"` + "\n  mode = \"0600\"", want: []string{`file "root": /etc/machine, mode: 0644 -> 0600`}},
		{name: "owner", old: `text = "a machine's own name"`, new: `text = "a machine's own name"` + "\n  uid = 7", want: []string{`file "root": /etc/machine, owner: 0:0 -> 7:0`}},
		{name: "command line", old: "init=", new: "quiet init=", want: []string{`file "esp": /loader/entries/test.conf, content: options init=.* -> options quiet init=`}},
		{name: "title", old: `title = "test"`, new: `title = "other"`, want: []string{
			`file "esp": /loader/entries/other.conf, file`, `file "esp": /loader/entries/test.conf, file`}},
		{name: "seed", old: "8b0beb69", new: "8b0beb68", want: []string{
			`id "esp": boot sector, VolID`, `id "root": superblock, s_uuid`, `id primary header, DiskGUID`, `id "esp": /loader/entries/test.conf, content`}},
		{name: "epoch", old: "seed", new: "epoch = 1000000\nseed", want: []string{`time "root": /etc/machine, mtime: 1 -> 1000000`, `time "root": superblock, s_mkfs_time`}},
		{name: "label", old: "closures = [\"system\"]\n", new: "closures = [\"system\"]\nlabel = \"other\"\n", want: []string{`file "root": file system, label: "test-root" -> "other"`}},
		{name: "size of the ESP", old: `"8MiB"`, new: `"9MiB"`, want: []string{`layout "esp": partition, size: 8388608 -> 9437184`, `layout "root": partition, offset`}},
		{name: "partition", old: "[[partition]]\nname = \"blob\"\ntype = \"linux-generic\"\nfilesystem = \"none\"\ncontent = \"blob.bin\"\n", want: []string{`layout "blob": partition, without a file system`}},
		{name: "name of a partition", old: `"blob"`, new: `"blub"`, want: []string{`layout "blob": partition, name: "blob" -> "blub"`}},
		{name: "type of a partition", old: "linux-generic", new: "var", want: []string{`layout "blob": partition, type: "linux-generic" -> "var"`}},
		{name: "raw content", world: func(w imagetest.World) { w.File("blob.bin", strings.Repeat("other", 20_000)) }, want: []string{`file "blob": partition, content`}},
		{name: "new file", world: func(w imagetest.World) { w.File("rootfs/etc/new", "1234567") }, want: []string{`file "root": /etc/new, file, 7 B`}},
		{name: "new directory", world: func(w imagetest.World) { w.File("rootfs/srv/a/b", "1234567") }, want: []string{`file "root": /srv, directory with 2 files, 7 B`}},
		{name: "content of a tree", world: func(w imagetest.World) { w.File("rootfs/etc/hosts", "127.0.0.1 LOCALHOST\n") }, want: []string{
			`file "root": /etc/hosts, content \(9 bytes from byte 10 on\): 127.0.0.1 localhost -> 127.0.0.1 LOCALHOST`}},
		{name: "profile", old: `profile = "system"`, new: `profile = "other"`, want: []string{
			`store "root": /nix/var/nix/profiles/other, symlink to other-1-link`, `store "root": /nix/var/nix/profiles/system, symlink to system-1-link`}},
		{name: "features", old: "closures = [\"system\"]\n", new: "closures = [\"system\"]\nfeatures = [\"^metadata_csum\"]\n", want: []string{`layout "root": file system, features`}},
		{name: "more items", old: "closures = [\"system\"]\n", new: "closures = [\"system\", \"tools\"]\n[[closure]]\nname = \"tools\"\nroots = [\"tool\"]\n[[partition]]\nname = \"other\"\ntype = \"linux-generic\"\nfilesystem = \"ext4\"\n", world: func(w imagetest.World) {
			w.Item("tool", []string{w.Path("lib")}, map[string]string{"bin/tool": "a tool"})
		}, want: []string{`store "root": /nix/store/\w+-tool, `}},
	}
}

// What another description changes is named, in images of equal and of other layout.
func TestCauseOfChange(t *testing.T) {
	first := build(t, seeded, nil)
	for _, r := range rebuilds() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(seeded, r.old, r.new, 1)
			if r.old != "" && text == seeded {
				t.Fatalf("the description has no %q", r.old)
			}
			text = strings.Replace(text, `"tool"`, `"`+imagetest.New(t).Path("tool")+`"`, 1)
			second := build(t, text, r.world)
			changes, err := diff.Compare(t.Context(), first.disk, second.disk, diff.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range r.want {
				if !named(changes, want) {
					t.Errorf("no %q in\n%s", want, diff.Text(changes, false))
				}
			}
		})
	}
}

// An image that is built again has no differences, and a difference is named in both directions.
func TestEqualAndBack(t *testing.T) {
	first, again := build(t, seeded, nil), build(t, seeded, nil)
	if changes, err := diff.Compare(t.Context(), first.disk, again.disk, diff.Options{}); err != nil || len(changes) > 0 {
		t.Errorf("%v\n%s", err, diff.Text(changes, true))
	}
	if changes, err := diff.Compare(t.Context(), first.disk, again.disk, diff.Options{Values: true}); err != nil || len(changes) > 0 {
		t.Errorf("by values: %v\n%s", err, diff.Text(changes, true))
	}
	larger := build(t, strings.Replace(seeded, "own name", "own long name", 1), func(w imagetest.World) { w.File("rootfs/etc/new", "new") })
	for _, o := range []diff.Options{{}, {Values: true}} {
		there, err := diff.Compare(t.Context(), first.disk, larger.disk, o)
		back, err2 := diff.Compare(t.Context(), larger.disk, first.disk, o)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		for _, want := range []string{`file "root": /etc/machine, content: .* own name -> .* own long name`, `file \+ "root": /etc/new, file, 3 B`} {
			if !named(there, want) {
				t.Errorf("no %q in\n%s", want, diff.Text(there, false))
			}
		}
		for _, want := range []string{`file "root": /etc/machine, content: .* own long name -> .* own name`, `file - "root": /etc/new, file, 3 B`} {
			if !named(back, want) {
				t.Errorf("back, no %q in\n%s", want, diff.Text(back, false))
			}
		}
	}
}

// The reason of an item is the chain from a root of the image that has it.
func TestReason(t *testing.T) {
	plain := strings.Replace(raw, "%s", "app", 1)
	make := func(lib string) image {
		w := imagetest.New(t)
		w.File("rootfs/etc/hosts", "127.0.0.1 localhost\n")
		w.File("blob.bin", "blob")
		of := w.Item(lib, nil, map[string]string{"lib.so": strings.Repeat(lib, 1000)})
		mid := w.Item("mid", []string{of}, map[string]string{"uses": of})
		app := w.Item("app", []string{mid}, map[string]string{"uses": mid})
		p, err := w.Plan(strings.Replace(plain, `"app"`, `"`+app+`"`, 1))
		if err != nil {
			t.Fatal(err)
		}
		b, _, _ := imagetest.Build(t, p, write.Options{})
		return image{b, open(t, b)}
	}
	changes, err := diff.Compare(t.Context(), make("lib-1").disk, make("lib-2").disk, diff.Options{Values: true})
	if err != nil {
		t.Fatal(err)
	}
	text := diff.Text(changes, false)
	for _, want := range []string{
		`store - "root": /nix/store/\w+-lib-1, `, `store \+ "root": /nix/store/\w+-lib-2, `, `store "root": /nix/store/\w+-mid, NAR hash: sha256:`,
		`store "root": /nix/store/\w+-mid, references: \w+-lib-1 -> \w+-lib-2`, `store "root": /nix/store/\w+-mid/uses, content \(.*: /nix/store/\w+-lib-1 -> /nix/store/\w+-lib-2`,
	} {
		if !named(changes, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, c := range changes {
		if strings.HasSuffix(c.Object, "-lib-2") && (c.Chain == nil || c.Chain.Root != "/nix/var/nix/profiles/system" || len(c.Chain.Nodes) != 3) {
			t.Errorf("%v is needed by %+v", c, c.Chain)
		}
	}
}
