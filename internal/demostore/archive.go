package demostore

import (
	"archive/tar"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// SyntheticArchive makes an archive of a Debian-like system at path, compressed with zstd. Of its programs only sh can run, which installs a
// file whatever it is to do.
func SyntheticArchive(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zstd.NewWriter(f)
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	m := synthetic["x86_64"]
	for _, dir := range []string{"./", "./boot/", "./etc/", "./proc/", "./usr/", "./usr/bin/", "./usr/lib/", "./var/"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}); err != nil {
			return err
		}
	}
	for _, file := range []struct {
		name    string
		mode    int64
		content []byte
	}{
		{"boot/initrd.img-6.1.0-56-cloud-amd64", 0o644, m.initrd()},
		{"boot/vmlinuz-6.1.0-56-cloud-amd64", 0o644, m.linux("linux", 300_000)},
		{"etc/fstab", 0o644, []byte("# UNCONFIGURED FSTAB FOR BASE SYSTEM\n")},
		{"etc/group", 0o644, []byte("root:x:0:\nwww-data:x:33:\n")},
		{"etc/hostname", 0o644, []byte("builder\n")},
		{"etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n")},
		{"etc/shadow", 0o640, []byte("root:*:20000:0:99999:7:::\n")},
		{"proc/cpuinfo", 0o444, []byte("left out\n")},
		{"usr/bin/sh", 0o755, writer("/usr/bin/greeting", "#!/bin/sh\necho installed\n")},
		{"usr/bin/su", 0o4755, []byte(prose("su", 70_000))},
		{"usr/lib/systemd/boot/efi/systemd-bootx64.efi", 0o644, m.program("systemd-boot", 90_000)},
	} {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: "./" + file.name, Mode: file.mode, Size: int64(len(file.content))}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := w.Write(file.content); err != nil {
			return err
		}
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "./bin", Linkname: "usr/bin"}); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return f.Close()
}
