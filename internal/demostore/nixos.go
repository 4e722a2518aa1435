package demostore

import (
	"fmt"
	"os"
	"path/filepath"
)

// AddNixOS adds two generations of a system in the form that NixOS gives it, each with the specialisation "quiet". They boot as the
// given system does, from a root file system with the label "nixos", and have no bootspec, as older ones of NixOS.
func (s *Store) AddNixOS(system Item) (generations []Item, err error) {
	for n := 1; n <= 2 && err == nil; n++ {
		var quiet, top Item
		name, version := fmt.Sprintf("nixos-system-demo-%d", n), fmt.Sprintf("25.05.demo%d", n)
		quiet, err = s.addToplevel(name+"-quiet", version, "quiet", system, nil)
		if err != nil {
			break
		}
		top, err = s.addToplevel(name, version, "loglevel=4", system, &quiet)
		generations = append(generations, top)
	}
	return generations, err
}

// addToplevel adds what NixOS calls a toplevel. special is its specialisation "quiet".
func (s *Store) addToplevel(name, version, params string, system Item, special *Item) (Item, error) {
	e := entries{
		"nixos-version": []byte(version),
		"kernel-params": []byte("root=LABEL=nixos panic=-1 " + params),
	}
	needs := system.References
	if special != nil {
		e["specialisation/quiet"] = link(special.Path)
		needs = append([]string{special.Path}, needs...)
	}
	return s.Add(name, needs, func(path string) error {
		if err := os.CopyFS(path, os.DirFS(s.Host(system.Path))); err != nil {
			return err
		}
		return e.write(path)
	})
}

// addNixSystem adds a system, and generations of NixOS with links to them: dir/nixos-1 and dir/nixos-2.
func (s *Store) addNixSystem(dir string, add func(*Store) (Item, error)) (Item, error) {
	system, err := add(s)
	if err != nil {
		return Item{}, err
	}
	generations, err := s.AddNixOS(system)
	for i, g := range generations {
		if err == nil {
			err = relink(g.Path, filepath.Join(dir, fmt.Sprintf("nixos-%d", i+1)))
		}
	}
	return system, err
}
