package closure

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"imprint/internal/chain"
	"imprint/internal/tree"
)

// ResolveRoot returns the item that a path of the tree names: a store path, or a symlink that leads to one. ok is false for a path that is not in the
// tree.
func (s *TreeStore) ResolveRoot(at string) (p Path, ok bool, err error) {
	if strings.HasPrefix(at, s.flavor.StoreDir+"/") {
		p, err = s.flavor.ParsePath(at)
		return p, true, err
	}
	n := s.find(at)
	if n == nil {
		return Path{}, false, nil
	}
	p, leads, err := s.follow(at, n)
	if err == nil && !leads {
		err = fmt.Errorf("root %s: is no link to a store item", quoted(at))
	}
	return p, true, err
}

// Graph returns the references of all items that are registered, and the GC roots of the tree that lead to one.
func (s *TreeStore) Graph(ctx context.Context) (*chain.Graph, error) {
	infos, err := s.Infos(ctx)
	if err != nil {
		return nil, err
	}
	g := &chain.Graph{References: make(map[string][]string, len(infos))}
	for _, info := range infos {
		list := make([]string, len(info.References))
		for i, r := range info.References {
			list[i] = r.String()
		}
		g.References[info.Path.String()] = list
	}
	s.eachRoot(func(at string, p Path, err error) {
		if _, valid := g.References[p.String()]; err == nil && valid {
			g.Roots = append(g.Roots, chain.Root{Name: at, Node: p.String()})
		}
	})
	return g, nil
}

// A Root is a symlink below the directories of GC roots and profiles.
type Root struct {
	At   string // path in the tree
	Item Path   // that it leads to, which need not be valid
	Err  error  // why it leads to none
}

// Roots returns the GC roots of the store, in the order of the tree.
func (s *TreeStore) Roots() (roots []Root) {
	s.eachRoot(func(at string, p Path, err error) { roots = append(roots, Root{at, p, err}) })
	return roots
}

// eachRoot finds the symlinks below the directories where the collector looks, and the items that they lead to.
func (s *TreeStore) eachRoot(found func(at string, p Path, err error)) {
	for _, dir := range []string{s.flavor.GCRoots(), s.flavor.Profiles()} {
		top := s.find(dir)
		if top == nil {
			continue
		}
		for at, n := range tree.Walk(dir, top) {
			if n.Kind() != tree.Symlink {
				continue
			}
			if p, ok, err := s.follow(at, n); ok || err != nil {
				found(at, p, err)
			}
		}
	}
}

// follow finds the item that a root leads to, through further links of the tree. A link to a directory of roots leads to none itself, and
// one to what only the running system has, such as /run/current-system, to none yet.
func (s *TreeStore) follow(at string, n *tree.Node) (Path, bool, error) {
	for range maxLinksFollowed {
		if n.Kind() != tree.Symlink {
			return Path{}, false, nil
		}
		target := n.Target()
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(at), target)
		}
		target = path.Clean(target)
		if below, ok := strings.CutPrefix(target, s.flavor.StoreDir+"/"); ok {
			base, _, _ := strings.Cut(below, "/")
			p, err := s.flavor.ParsePath(s.flavor.StoreDir + "/" + base)
			return p, err == nil, err
		}
		if at, n = target, s.find(target); n == nil && strings.HasPrefix(target, "/run/") {
			return Path{}, false, nil
		} else if n == nil {
			return Path{}, false, fmt.Errorf("leads to %s, which is not there", target)
		}
	}
	return Path{}, false, errors.New("leads through too many links")
}
