//! Outlines as lines, for drawings that are printed at any size.

use nephrobox_shared::class::Class;

use super::raster::Raster;

/// Closed lines around structures, in pixels of the raster from its top left corner.
pub(crate) type Outlines = Vec<Vec<[f32; 2]>>;

/// The outlines of all pixels for which `inside` holds. The line runs through the middles of the sides that pixels share with what is
/// outside, as the measures take it; pixels that touch at a corner alone have an outline each.
pub(super) fn trace(raster: &Raster, inside: impl Fn(Class) -> bool) -> Outlines {
    let (width, height) = (raster.width as usize, raster.height as usize);
    let is_in = |x: i64, y: i64| inside(raster.class(x, y));
    // Sides that lead away from each corner, one bit a direction: right, down, left, up. Clockwise around what is inside.
    let mut sides = vec![0_u8; (width + 1) * (height + 1)];
    for y in 0..height {
        for x in 0..width {
            let at = (x as i64, y as i64);
            if !is_in(at.0, at.1) {
                continue;
            }
            let around = [
                ((0, -1), (x, y)),
                ((1, 0), (x + 1, y)),
                ((0, 1), (x + 1, y + 1)),
                ((-1, 0), (x, y + 1)),
            ];
            for (direction, ((dx, dy), (from_x, from_y))) in around.into_iter().enumerate() {
                if !is_in(at.0 + dx, at.1 + dy) {
                    sides[from_y * (width + 1) + from_x] |= 1 << direction;
                }
            }
        }
    }
    let mut outlines = Vec::new();
    for start in 0..sides.len() {
        while sides[start] != 0 {
            outlines.push(follow(&mut sides, width + 1, start));
        }
    }
    outlines
}

/// Takes one closed line out of `sides`.
fn follow(sides: &mut [u8], across: usize, start: usize) -> Vec<[f32; 2]> {
    let mut points: Vec<[f32; 2]> = Vec::new();
    let mut corner = start;
    let mut direction = sides[start].trailing_zeros() as usize;
    loop {
        sides[corner] &= !(1 << direction);
        let (x, y) = ((corner % across) as f32, (corner / across) as f32);
        let (next, middle) = match direction {
            0 => (corner + 1, [x + 0.5, y]),
            1 => (corner + across, [x, y + 0.5]),
            2 => (corner - 1, [x - 0.5, y]),
            _ => (corner - across, [x, y - 0.5]),
        };
        push(&mut points, middle);
        corner = next;
        // The sharpest turn around the same pixel first; every corner is left as often as it is reached.
        let turns = [1, 0, 3].map(|turn| (direction + turn) % 4);
        let Some(onward) = turns
            .into_iter()
            .find(|&turn| sides[corner] & (1 << turn) != 0)
        else {
            return points;
        };
        direction = onward;
    }
}

/// Adds a point; one in the middle of a straight line is left out.
fn push(points: &mut Vec<[f32; 2]>, [x, y]: [f32; 2]) {
    if let [.., [ax, ay], [bx, by]] = points[..]
        && (bx - ax) * (y - by) == (by - ay) * (x - bx)
    {
        points.pop();
    }
    points.push([x, y]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raster(rows: &[&str]) -> Raster {
        Raster {
            width: rows[0].len() as u32,
            height: rows.len() as u32,
            px_per_mm: 1.0,
            grey: Vec::new(),
            classes: rows
                .concat()
                .bytes()
                .map(|mark| match mark {
                    b'k' => Class::Kidney,
                    b't' => Class::Tumour,
                    _ => Class::Background,
                })
                .collect(),
        }
    }

    /// The area within a closed line, with a sign for its direction.
    fn area(line: &[[f32; 2]]) -> f32 {
        let next = line.iter().cycle().skip(1);
        line.iter()
            .zip(next)
            .map(|(a, b)| a[0] * b[1] - b[0] * a[1])
            .sum::<f32>()
            / 2.0
    }

    #[test]
    fn a_block_has_one_outline_with_its_corners_cut() {
        let found = trace(&raster(&["....", ".kk.", ".kk.", "...."]), |class| {
            class != Class::Background
        });
        assert_eq!(found.len(), 1);
        // Four pixels less an eighth of one at each corner.
        assert_eq!(area(&found[0]), 4.0 - 4.0 / 8.0);
    }

    #[test]
    fn holes_run_the_other_way_and_the_edge_of_the_picture_closes() {
        let found = trace(&raster(&["kkk", "k.k", "kkk"]), |class| {
            class != Class::Background
        });
        let mut areas: Vec<f32> = found.iter().map(|line| area(line)).collect();
        areas.sort_by(f32::total_cmp);
        assert_eq!(areas, [-0.5, 8.5]);
    }

    #[test]
    fn pixels_that_touch_at_a_corner_are_two() {
        assert_eq!(
            trace(&raster(&["k.", ".k"]), |class| class != Class::Background).len(),
            2
        );
        assert_eq!(
            trace(&raster(&[".k", "k."]), |class| class != Class::Background).len(),
            2
        );
    }

    #[test]
    fn a_tumour_within_a_kidney_is_outlined_by_itself() {
        let raster = raster(&["kkkk", "kttk", "kkkk"]);
        let tumour = trace(&raster, |class| class == Class::Tumour);
        assert_eq!(tumour.len(), 1);
        assert_eq!(area(&tumour[0]), 2.0 - 0.5);
        assert!(trace(&raster, |_| false).is_empty());
    }
}
