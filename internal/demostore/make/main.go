// Make makes the store of the demo, a small closure that boots, below DIR.
//
//	go run ./internal/demostore/make [-arch ARCH] [-flavor nix|guix] [-kernel DIR] DIR
//
// It makes DIR/store, which holds nix/store or gnu/store, DIR/registration in the format of nixpkgs' closureInfo, and DIR/system, a link to the
// system's store path like nix-build's result. With Guix it also makes the store's database and DIR/graph, a graph of references. It replaces what was there before. The kernel is that of Debian's package
// linux-image-cloud-amd64, unpacked below -kernel or installed; busybox is that of busybox-static.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"imprint/internal/demostore"
)

func main() {
	arch := flag.String("arch", "x86_64", "x86_64, or aarch64, which needs the packages unpacked in build/arm64")
	flavor := flag.String("flavor", "nix", "nix or guix")
	kernel := flag.String("kernel", "build/kernel", "directory with the unpacked kernel package")
	flag.Parse()
	if flag.NArg() != 1 || *flavor != "nix" && *flavor != "guix" {
		fmt.Fprintln(os.Stderr, "usage: make [-arch ARCH] [-flavor nix|guix] [-kernel DIR] DIR")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *arch, *flavor, *kernel); err != nil {
		fmt.Fprintln(os.Stderr, "make the store of the demo:", err)
		os.Exit(1)
	}
}

func run(dir, arch, flavor, kernelDir string) error {
	parts, err := demostore.HostParts(kernelDir)
	if arch == "aarch64" {
		parts, err = demostore.ArmParts("build/arm64")
	}
	if err != nil {
		return err
	}
	make := demostore.Demo
	if flavor == "guix" {
		make = demostore.GuixDemo
	}
	s, system, err := make(dir, parts)
	if err != nil {
		return err
	}
	bytes := int64(0)
	for _, i := range s.Items() {
		bytes += i.NARSize
	}
	fmt.Printf("store: %d items, %.1f MB, in %s\n", len(s.Items()), float64(bytes)/1e6, filepath.Join(dir, "store"))
	fmt.Println("system:", system.Path)
	return nil
}
