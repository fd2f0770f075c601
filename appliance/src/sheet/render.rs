//! From the drawing to the files.

use std::sync::{Arc, LazyLock};

use image::{Rgb, RgbImage};
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla::{Document, SerializeSettings};
use krilla_svg::{SurfaceExt as _, SvgSettings};
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{ImageHrefResolver, ImageKind, Options, Tree, fontdb};

use super::canvas::Faces;
use super::content::Content;
use super::{DPI, PAGE, Picture, Sheet, SheetError};
use crate::overlay;

/// The faces of the page and no other: what is installed does not change a report.
static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    for bytes in Faces::FILES {
        fonts.load_font_source(fontdb::Source::Binary(Arc::new(bytes())));
    }
    Arc::new(fonts)
});

pub(super) fn render(
    svg: &str,
    pictures: &[Picture],
    content: &Content,
) -> Result<Sheet, SheetError> {
    // The drawing names its pictures by number; a name is never taken for a file's.
    let pictures: Vec<_> = pictures
        .iter()
        .map(|picture| Arc::clone(&picture.png))
        .collect();
    let options = Options {
        font_family: "DejaVu Sans".into(),
        fontdb: Arc::clone(&FONTS),
        image_href_resolver: ImageHrefResolver {
            resolve_data: Box::new(|_, _, _| None),
            resolve_string: Box::new(move |name, _| {
                let picture = pictures.get(name.parse::<usize>().ok()?)?;
                Some(ImageKind::PNG(Arc::clone(picture)))
            }),
        },
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options)?;
    let pixels = pixels(&tree)?;
    Ok(Sheet {
        png: overlay::png(&pixels)?,
        pdf: pdf(&tree, content)?,
        pixels,
    })
}

fn pixels(tree: &Tree) -> Result<RgbImage, SheetError> {
    let scale = DPI / 72.0;
    let [width, height] = PAGE.map(|points| (points * scale).round() as u32);
    let mut pixmap = Pixmap::new(width, height).ok_or(SheetError::Size)?;
    pixmap.fill(Color::WHITE);
    resvg::render(
        tree,
        Transform::from_scale(scale, scale),
        &mut pixmap.as_mut(),
    );
    let page = pixmap.pixels();
    // On white paper nothing is left to shine through.
    Ok(RgbImage::from_fn(width, height, |x, y| {
        let pixel = page[y as usize * width as usize + x as usize];
        Rgb([pixel.red(), pixel.green(), pixel.blue()])
    }))
}

fn pdf(tree: &Tree, content: &Content) -> Result<Vec<u8>, SheetError> {
    let mut document = Document::new_with(SerializeSettings {
        enable_tagging: false, // a drawing has no structure to tell
        ..SerializeSettings::default()
    });
    // No date and no id but what follows from the page itself: the same report gives the same bytes. No patient's name either, which
    // programs would show in titles of windows and lists of files.
    document.set_metadata(
        Metadata::new()
            .title(content.title.into())
            .description(content.notice.clone())
            .creator(content.program.clone())
            .language("en".into()),
    );
    let [width, height] = PAGE;
    let size = krilla::geom::Size::from_wh(width, height).ok_or(SheetError::Size)?;
    let settings = PageSettings::from_wh(width, height).ok_or(SheetError::Size)?;
    let mut page = document.start_page_with(settings);
    let mut surface = page.surface();
    surface
        .draw_svg(tree, size, SvgSettings::default())
        .ok_or(SheetError::Size)?;
    surface.finish();
    page.finish();
    document
        .finish()
        .map_err(|error| SheetError::Pdf(format!("{error:?}")))
}
