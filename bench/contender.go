package main

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed ways/*.sh
var ways embed.FS

// A contender is one way to make a disk image, or to copy as many bytes.
type contender struct {
	name  string
	title string
	tools []string // host tools it needs
	root  bool     // needs root
	// command returns the process that makes out/disk.raw, or other files of that name, from the workload; out is an empty directory.
	command func(w workload, out string) (*exec.Cmd, error)
}

// contenders returns all contenders in the order of the tables.
func contenders(o options) []contender {
	plain := strings.Fields(o.plain)
	return append([]contender{
		{name: "imprint", title: "imprint, the whole job", command: o.imprint(disk, nil)},
		{name: "imprint-plain", title: "imprint, like for like", command: o.imprint(disk, plain)},
		{name: "verity", title: "imprint, with a hash tree over the root partition, the whole job", command: o.imprint(sealed, nil)},
		{name: "imprint-one", title: "imprint, the whole job, on one processor", command: onOne(o.imprint(disk, nil))},
		{name: "imprint-plain-one", title: "imprint, like for like, on one processor", command: onOne(o.imprint(disk, plain))},
		{name: "iso", title: "imprint, an ISO with the store in its tree, the whole job", command: o.imprint(iso, nil)},
		{name: "iso-plain", title: "the same, like for like", command: o.imprint(iso, plain)},
		{name: "iso-erofs", title: "imprint, an ISO with the store in an EROFS in it, the whole job", command: o.imprint(isoErofs, nil)},
		{name: "iso-erofs-plain", title: "the same, like for like", command: o.imprint(isoErofs, plain)},
		{name: "verify", title: "imprint verify of that disk, without its manifest", command: o.verify},
		{name: "hash", title: "the NAR hash of every store item, nothing else", command: o.hash},
		{name: "floor", title: "floor", command: o.floor("")},
		{name: "floor-hash", title: "floor with both hashes", command: o.floor("-item -piece")},
	}, slices.Concat(o.outputs(), o.updates(), o.fromCaches(), o.bases(), others())...)
}

// outputs returns the contenders that write other formats than raw, alone and together, and what does without them.
func (o options) outputs() []contender {
	alone := func(suffix string) contender {
		return contender{name: "out-" + suffix, title: "imprint, the whole job, as " + suffix, command: o.imprint(disk, nil, "disk."+suffix)}
	}
	return []contender{
		alone("zst"), alone("qcow2"), alone("vhd"),
		{name: "out-four", title: "imprint, the whole job, raw, zst, qcow2 and vhd together", command: o.imprint(disk, nil, "disk.raw", "disk.zst", "disk.qcow2", "disk.vhd")},
		{name: "out-two", title: "imprint, the whole job, zst and qcow2 together", command: o.imprint(disk, nil, "disk.zst", "disk.qcow2")},
		{name: "zstd-after", title: "imprint, the whole job, raw, and zstd -1 -T0 after it", tools: []string{"zstd"}, command: func(w workload, out string) (*exec.Cmd, error) {
			first, err := o.imprint(disk, nil)(w, out)
			if err != nil {
				return nil, err
			}
			return exec.Command("sh", append([]string{"-ec", `"$@"; zstd -q -1 -T0 "$0"`, filepath.Join(out, "disk.raw")}, first.Args...)...), nil
		}},
	}
}

// others returns the contenders that are other tools.
func others() []contender {
	return []contender{
		way("mke2fs", "mke2fs -d straight into the disk", "mke2fs mkfs.vfat mcopy sfdisk"),
		way("repart", "systemd-repart, offline", "systemd-repart mkfs.ext4 mkfs.vfat mcopy"),
		way("guix", "Guix's way", "fakeroot mke2fs e2fsck genimage mkfs.vfat mcopy"),
		way("nixpkgs", "nixpkgs' make-ext4-fs way", "fakeroot mkfs.ext4 fsck.ext4 resize2fs dumpe2fs mkfs.vfat mcopy sfdisk"),
		asRoot(way("loop", "loop mount and cp -a", "losetup mkfs.ext4 mount mkfs.vfat mcopy sfdisk")),
	}
}

// onOne limits a Go program to one processor.
func onOne(command func(workload, string) (*exec.Cmd, error)) func(workload, string) (*exec.Cmd, error) {
	return func(w workload, out string) (*exec.Cmd, error) {
		cmd, err := command(w, out)
		if err == nil {
			cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
		}
		return cmd, err
	}
}

func asRoot(c contender) contender {
	c.root = true
	return c
}

// way returns the contender that is a script in ways.
func way(name, title, tools string) contender {
	return contender{name: name, title: title, tools: strings.Fields(tools), command: func(w workload, out string) (*exec.Cmd, error) {
		prelude, err := ways.ReadFile("ways/prelude.sh")
		if err != nil {
			return nil, err
		}
		script, err := ways.ReadFile("ways/" + name + ".sh")
		return exec.Command("bash", "-c", string(prelude)+string(script), name, w.dir, out), err
	}}
}

// missing returns the reason why a contender cannot run, or "".
func (c contender) missing() string {
	if c.root && os.Getuid() != 0 {
		return "needs root"
	}
	for _, tool := range c.tools {
		if _, err := exec.LookPath(tool); err != nil {
			return "needs " + tool
		}
	}
	return ""
}

// floor runs this program again, so that its memory and time are measured alone.
func (o options) floor(hashes string) func(workload, string) (*exec.Cmd, error) {
	return func(w workload, out string) (*exec.Cmd, error) {
		self, err := os.Executable()
		args := append([]string{"floor"}, strings.Fields(hashes)...)
		if o.cold {
			args = append(args, "-j", "16")
		}
		return exec.Command(self, append(args, w.path("root"), filepath.Join(out, "disk.raw"))...), err
	}
}

// imprint builds the same disk as the others, or an ISO with the same contents; in addition it registers the closure in a database.
// files are the names of the outputs, by default disk.raw.
func (o options) imprint(i imageShape, flags []string, files ...string) func(workload, string) (*exec.Cmd, error) {
	return func(w workload, out string) (*exec.Cmd, error) {
		description, err := describe(w, i)
		if err != nil {
			return nil, err
		}
		file := filepath.Join(out, "image.toml")
		if err := os.WriteFile(file, []byte(description), 0o644); err != nil {
			return nil, err
		}
		names := files
		if len(names) == 0 {
			names = []string{"disk.raw"}
		}
		args := append([]string{"build", file}, flags...)
		for _, name := range names {
			args = append(args, "-o", filepath.Join(out, name))
		}
		return exec.Command(o.program, args...), nil
	}
}

// An imageShape is an image with the contents of a workload: keys at the top, the partition with the store, and what comes after it.
type imageShape struct{ top, store, after string }

var (
	disk     = imageShape{"", "name = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\n", ""}
	sealed   = imageShape{"", disk.store + "verity = \"tree\"\n", "[[partition]]\nname = \"tree\"\ntype = \"root-verity\"\nfilesystem = \"none\"\n"}
	iso      = imageShape{"format = \"iso\"\n", "name = \"root\"\nfilesystem = \"iso9660\"\n", ""}
	isoErofs = imageShape{iso.top, "name = \"tree\"\nfilesystem = \"iso9660\"\n[[partition]]\nname = \"root\"\nfilesystem = \"erofs\"\ninside = \"tree\"\npath = \"/root\"\n", ""}
)

func describe(w workload, i imageShape) (string, error) {
	paths, err := os.ReadFile(w.path("store-paths"))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "name = \"bench\"\narch = \"x86_64\"\n%s[[source]]\npath = %q\nregistration = %q\n", i.top, w.path("root"), w.path("registration"))
	fmt.Fprintf(&b, "[[closure]]\nname = \"all\"\nroots = [\n")
	for path := range strings.Lines(string(paths)) {
		fmt.Fprintf(&b, "%q,\n", strings.TrimSpace(path))
	}
	b.WriteString("]\n[boot]\nloader = \"none\"\n")
	b.WriteString("[[partition]]\nname = \"ESP\"\ntype = \"esp\"\nfilesystem = \"fat\"\nsize = \"64MiB\"\n")
	fmt.Fprintf(&b, "[[partition.tree]]\nsource = %q\ntarget = \"/\"\n", w.path("esp"))
	b.WriteString("[[partition]]\n" + i.store + "closures = [\"all\"]\n")
	dirs, err := os.ReadDir(w.path("root"))
	for _, d := range dirs {
		if d.Name() != "nix" {
			fmt.Fprintf(&b, "[[partition.dir]]\npath = \"/%s\"\n", d.Name())
		}
	}
	b.WriteString(i.after)
	return b.String(), err
}
