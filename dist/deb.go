package main

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// control is the control file of the Debian package (deb-control(5)); its arguments are version, architecture and size in KiB.
const control = `Package: imprint
Version: %s
Architecture: %s
Maintainer: imprint authors <imprint@localhost>
Installed-Size: %d
Section: admin
Priority: optional
Suggests: e2fsprogs, grub-common, squashfs-tools, syslinux, systemd-boot-efi
Description: turn a software closure into a bootable disk image
 imprint writes bootable disk images from a store of Nix or Guix,
 directories and tar archives: without root, a virtual machine, loop devices
 or user namespaces.
 The same inputs give the same bytes.
`

// debian writes the Debian package for an architecture.
func (r release) debian(arch string, files []file) error {
	var installed []file
	size := 0
	for _, f := range files {
		if isManual(f) { // Debian's policy, 12.1, wants manual pages compressed
			f = file{f.path + ".gz", f.mode, compressed(f.content)}
		}
		f.path = "usr/" + f.path
		installed = append(installed, f)
		size += len(f.content)
	}
	data, err := tarball("./", installed, r.epoch)
	if err != nil {
		return err
	}
	meta, err := tarball("./", []file{
		{"control", 0o644, fmt.Appendf(nil, control, r.debianVersion(), arch, (size+1023)/1024)},
		{"md5sums", 0o644, md5sums(installed)},
	}, r.epoch)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	out.WriteString("!<arch>\n")
	r.member(&out, "debian-binary", []byte("2.0\n"))
	r.member(&out, "control.tar.gz", meta)
	r.member(&out, "data.tar.gz", data)
	name := fmt.Sprintf("imprint_%s_%s.deb", r.debianVersion(), arch)
	return os.WriteFile(filepath.Join(r.dir, name), out.Bytes(), 0o644)
}

// member appends a member of an archive in the form of ar (deb(5)): a header of 60 bytes, the content, and padding to an even length.
func (r release) member(out *bytes.Buffer, name string, content []byte) {
	fmt.Fprintf(out, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", name, r.epoch.Unix(), 0, 0, 0o100644, len(content))
	out.Write(content)
	if len(content)%2 == 1 {
		out.WriteByte('\n')
	}
}

// sinceTag is what git describe appends to a tag: the number of commits since it, and the last one.
var sinceTag = regexp.MustCompile(`^(.*)-([0-9]+)-(g[0-9a-f]+(?:-dirty)?)$`)

// debianVersion is the version as dpkg compares it: commits after a tag are newer than the tag (+), release candidates are older than the
// release (~), and a build without a tag is older than everything.
func (r release) debianVersion() string {
	number, after := r.number(), ""
	if m := sinceTag.FindStringSubmatch(number); m != nil {
		number, after = m[1], "+"+m[2]+"."+strings.ReplaceAll(m[3], "-", ".")
	}
	if number == "" || number[0] < '0' || number[0] > '9' || !strings.Contains(number, ".") {
		number = "0~" + number
	}
	return strings.ReplaceAll(number, "-", "~") + after
}

// md5sums are the sums that debsums compares installed files with.
func md5sums(files []file) []byte {
	var lines []string
	for _, f := range files {
		lines = append(lines, fmt.Sprintf("%x  %s\n", md5.Sum(f.content), f.path))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[32:], b[32:]) })
	return []byte(strings.Join(lines, ""))
}

// compressed returns a text as gzip -9n writes it: without a name or a time.
func compressed(content []byte) []byte {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // fails for unknown levels only
	z.Write(content)                                        // a buffer takes everything
	z.Close()
	return out.Bytes()
}
