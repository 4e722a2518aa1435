package environment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"imprint/internal/named"
	"imprint/internal/objects"
)

// Init makes an environment of one layer, which is in the store. The caller holds [Store.Use].
func (s *Store) Init(ctx context.Context, name string, layer objects.Digest) (pin objects.Digest, err error) {
	err = s.all.Change(ctx, name, func(old *Environment) (*Environment, error) {
		if old != nil {
			return nil, fmt.Errorf("there is an environment %q already", name)
		}
		if pin, err = s.link(ctx, nil, layer); err != nil {
			return nil, err
		}
		return &Environment{Name: name, Tags: map[string]objects.Digest{Root: pin, Current: pin}}, nil
	})
	return pin, err
}

// Append puts a layer, which is in the store, on the stack that a tag leads to, and moves the tag there. On the root, which does not move, the
// current tag is moved. The caller holds [Store.Use]. It returns the new pin and the tag that was moved.
func (s *Store) Append(ctx context.Context, name, tag string, layer objects.Digest) (pin objects.Digest, moved string, err error) {
	return s.push(ctx, name, tag, layer, nil)
}

// ErrMoved is matched by the error of putting a layer on a stack to which its tag does not lead any more.
var ErrMoved = errors.New("has moved meanwhile")

// AppendTo is [Store.Append] for a layer that was made for the stack with a pin, and for no other. The error matches [ErrMoved] if the tag leads
// elsewhere by now.
func (s *Store) AppendTo(ctx context.Context, name, tag string, layer, on objects.Digest) (pin objects.Digest, moved string, err error) {
	return s.push(ctx, name, tag, layer, &on)
}

func (s *Store) push(ctx context.Context, name, tag string, layer objects.Digest, on *objects.Digest) (pin objects.Digest, moved string, err error) {
	err = s.all.Edit(ctx, name, func(e *Environment) error {
		below, err := s.Pin(e, tag)
		if err != nil {
			return err
		}
		if on != nil && below != *on {
			return fmt.Errorf("%q %w, from %.12s to %.12s", cmp.Or(tag, Current), ErrMoved, objects.Text(*on), objects.Text(below))
		}
		if err := s.mayGrow(below); err != nil {
			return err
		}
		if pin, err = s.link(ctx, &below, layer); err != nil {
			return err
		}
		if moved = tag; moved == Root || e.Tags[tag] == (objects.Digest{}) {
			moved = Current
		}
		e.Tags[moved] = pin
		return nil
	})
	return pin, moved, err
}

// link adds the link of a layer on a stack, and returns its pin when it, the layer and all that the layer has are on the disk.
func (s *Store) link(ctx context.Context, below *objects.Digest, layer objects.Digest) (objects.Digest, error) {
	pin, err := s.contents.PutText(ctx, linkText(below, layer))
	if err == nil {
		err = s.contents.Sync()
	}
	return pin, err
}

func (s *Store) mayGrow(below objects.Digest) error {
	stack, err := s.Stack(below)
	if err == nil && len(stack) >= maxDepth {
		err = fmt.Errorf("the stack has %d layers, which is the most", len(stack))
	}
	return err
}

// Tag makes a tag lead to a pin of the environment, which may be given as another tag. The root does not move.
func (s *Store) Tag(ctx context.Context, name, tag, at string) (pin objects.Digest, err error) {
	if err := named.Check("a tag", tag); err != nil {
		return pin, err
	}
	if _, err := objects.Parse(tag); err == nil || strings.Trim(tag, "0123456789abcdef") == "" && len(tag) >= shortest {
		return pin, fmt.Errorf("%q could be a pin: choose another name for the tag", tag)
	}
	err = s.all.Edit(ctx, name, func(e *Environment) error {
		if tag == Root {
			return errors.New("the root of an environment does not move")
		}
		if pin, err = s.Pin(e, at); err != nil {
			return err
		}
		e.Tags[tag] = pin
		return nil
	})
	return pin, err
}

// Untag removes a tag other than root and current.
func (s *Store) Untag(ctx context.Context, name, tag string) error {
	return s.all.Edit(ctx, name, func(e *Environment) error {
		if tag == Root || tag == Current {
			return fmt.Errorf("every environment has the tag %q", tag)
		}
		if _, has := e.Tags[tag]; !has {
			_, err := s.Pin(e, tag)
			return cmp.Or(err, fmt.Errorf("%q is a pin, and no tag", tag))
		}
		delete(e.Tags, tag)
		return nil
	})
}

// ErrFirst is matched by the error of rolling back the first layer.
var ErrFirst = errors.New("is the first layer: there is nothing to roll back to")

// RollBack makes the current tag lead to the stack below, and returns its pin.
func (s *Store) RollBack(ctx context.Context, name string) (pin objects.Digest, err error) {
	err = s.all.Edit(ctx, name, func(e *Environment) error {
		stack, err := s.Stack(e.Tags[Current])
		if err != nil {
			return err
		}
		if len(stack) < 2 {
			return fmt.Errorf("%s %w", objects.Text(e.Tags[Current])[:12], ErrFirst)
		}
		pin = stack[len(stack)-2].Pin
		e.Tags[Current] = pin
		return nil
	})
	return pin, err
}
